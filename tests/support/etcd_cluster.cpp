// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/etcd_cluster.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "tests/support/sandbox.h"

namespace tfo::test {

namespace fs = std::filesystem;

namespace {

std::string read_pipe(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "re");
  if (pipe == nullptr) return text;
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, got);
  pclose(pipe);
  return text;
}

fs::path make_directory() {
  const fs::path memory = "/dev/shm";
  std::error_code ignored;
  const fs::path base = fs::is_directory(memory, ignored) ? memory : fs::temp_directory_path();
  std::string name = (base / "tfo_etcd_XXXXXX").string();
  return mkdtemp(name.data());
}

}  // namespace

EtcdCluster::EtcdCluster(bool tls) : tls_(tls), directory_(make_directory()) {
  std::signal(SIGPIPE, SIG_IGN);
  std::random_device random;
  network_ =
      "127." + std::to_string(1 + random() % 254) + "." + std::to_string(random() % 256) + ".";
  if (tls_ && !make_certificates()) return;
  for (size_t i = 0; i < kMembers; i++) start(i);
}

EtcdCluster::~EtcdCluster() {
  for (size_t i = 0; i < kMembers; i++) kill9(i);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

std::string EtcdCluster::address(size_t member) const {
  return network_ + std::to_string(member + 1);
}

std::string EtcdCluster::endpoint(size_t member) const {
  return (tls_ ? "https://" : "http://") + address(member) + ":2379";
}

/// The servers' certificate is for the three addresses; "client" has no common name, "named" has.
bool EtcdCluster::make_certificates() const {
  const std::string make =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 ";
  const std::string sign = make + "-CA ca.crt -CAkey ca.key -addext basicConstraints=CA:FALSE ";
  std::string names = "subjectAltName=";
  for (size_t i = 0; i < kMembers; i++) names += (i > 0 ? ",IP:" : "IP:") + address(i);
  return shell("cd " + directory_.string() + " && { " + make +
               "-keyout ca.key -out ca.crt -subj /CN=ca && " + sign +
               "-keyout server.key -out server.crt -subj / -addext " + names +
               " -addext extendedKeyUsage=serverAuth,clientAuth && " + sign +
               "-keyout client.key -out client.crt -subj / -addext subjectAltName=DNS:tfod && " +
               sign + "-keyout named.key -out named.crt -subj /CN=tfod; } >openssl.log 2>&1");
}

std::string EtcdCluster::peers() const {
  std::string all;
  for (size_t i = 0; i < kMembers; i++) {
    all += (i > 0 ? ",m" : "m") + std::to_string(i) + "=http://" + address(i) + ":2380";
  }
  return all;
}

std::vector<std::string> EtcdCluster::arguments(size_t member) const {
  const std::string name = "m" + std::to_string(member);
  const std::string peer = "http://" + address(member) + ":2380";
  const std::string all = peers();
  std::vector<std::string> arguments = {"etcd",
                                        "--name",
                                        name,
                                        "--data-dir",
                                        path(name),
                                        "--listen-client-urls",
                                        endpoint(member),
                                        "--advertise-client-urls",
                                        endpoint(member),
                                        "--listen-peer-urls",
                                        peer,
                                        "--initial-advertise-peer-urls",
                                        peer,
                                        "--initial-cluster",
                                        all,
                                        "--initial-cluster-token",
                                        network_,
                                        "--heartbeat-interval",
                                        "50",
                                        "--election-timeout",
                                        "500",
                                        "--logger",
                                        "zap"};
  if (tls_) {
    for (const char* argument : {"--client-cert-auth", "--trusted-ca-file", "ca.crt", "--cert-file",
                                 "server.crt", "--key-file", "server.key"}) {
      arguments.emplace_back(argument);
    }
  }
  return arguments;
}

void EtcdCluster::start(size_t member) {
  const auto arguments = this->arguments(member);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string log = path("log" + std::to_string(member));
  pids_[member] = fork();
  if (pids_[member] != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0 || chdir(directory_.c_str()) != 0) _exit(127);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execvp(argv[0], argv.data());
  _exit(127);
}

std::string EtcdCluster::get(size_t member, const std::string& path,
                             const std::string& body) const {
  const std::string tls = tls_ ? "--cacert ca.crt --cert client.crt --key client.key " : "";
  return read_pipe("cd " + directory_.string() + " && curl -s --noproxy '*' -m 3 " + tls +
                   (body.empty() ? "" : "-d '" + body + "' ") + endpoint(member) + path);
}

bool EtcdCluster::wait_member(size_t member, double seconds) const {
  return wait_until(
      [&] { return get(member, "/health", "").find("\"true\"") != std::string::npos; }, seconds);
}

bool EtcdCluster::wait_healthy(double seconds) const {
  for (size_t i = 0; i < kMembers; i++) {
    if (!wait_member(i, seconds)) return false;
  }
  return true;
}

size_t EtcdCluster::leader(size_t asked) const {
  const auto status =
      nlohmann::json::parse(get(asked, "/v3/maintenance/status", "{}"), nullptr, false);
  const std::string leader = status.is_object() ? status.value("leader", "") : "";
  for (size_t i = 0; i < kMembers && !leader.empty(); i++) {
    if (pids_[i] <= 0) continue;
    const auto own = nlohmann::json::parse(get(i, "/v3/maintenance/status", "{}"), nullptr, false);
    if (own.is_object() && own["header"].value("member_id", "") == leader) return i;
  }
  return kMembers;
}

etcd::Config EtcdCluster::config(size_t first) const {
  etcd::Config config;
  for (size_t i = 0; i < kMembers; i++) config.endpoints.push_back(endpoint(i));
  config.first_endpoint = first;
  if (tls_) {
    config.ca_file = path("ca.crt");
    config.cert_file = path("client.crt");
    config.key_file = path("client.key");
  }
  using std::chrono::milliseconds;
  config.timeouts.ping = milliseconds(300);
  config.timeouts.silence = milliseconds(1500);
  config.timeouts.backoff = milliseconds(500);
  return config;
}

void EtcdCluster::kill9(size_t member) {
  if (pids_[member] <= 0) return;
  kill(pids_[member], SIGKILL);
  waitpid(pids_[member], nullptr, 0);
  pids_[member] = -1;
}

void EtcdCluster::freeze(size_t member) {
  kill(pids_[member], SIGSTOP);
  waitpid(pids_[member], nullptr, WUNTRACED);  // until the last thread of it stands
}

void EtcdCluster::thaw(size_t member) { kill(pids_[member], SIGCONT); }

void EtcdCluster::restart(size_t member) {
  start(member);
  // The old one's sockets may linger: then it ends at once, and is started again.
  wait_until(
      [&] {
        if (waitpid(pids_[member], nullptr, WNOHANG) == pids_[member]) start(member);
        return wait_member(member, 0.2);
      },
      30);
}

bool EtcdCluster::save(size_t member, const std::string& name) const {
  return shell("ETCDCTL_API=3 etcdctl --endpoints " + endpoint(member) + " snapshot save " +
               path(name).string() + " >" + path("save.log").string() + " 2>&1");
}

bool EtcdCluster::restore(const std::string& name) {
  for (size_t i = 0; i < kMembers; i++) kill9(i);
  for (size_t i = 0; i < kMembers; i++) {
    const std::string member = "m" + std::to_string(i);
    std::error_code ignored;
    fs::remove_all(path(member), ignored);
    if (!shell("ETCDCTL_API=3 etcdctl snapshot restore " + path(name).string() + " --name " +
               member + " --data-dir " + path(member).string() + " --initial-cluster " + peers() +
               " --initial-cluster-token " + network_ + " --initial-advertise-peer-urls http://" +
               address(i) + ":2380 >" + path("restore.log").string() + " 2>&1")) {
      return false;
    }
  }
  for (size_t i = 0; i < kMembers; i++) start(i);
  return wait_healthy();
}

std::string EtcdCluster::logs() const {
  std::ostringstream text;
  for (size_t i = 0; i < kMembers; i++) {
    std::ifstream file(path("log" + std::to_string(i)));
    text << file.rdbuf();
  }
  return text.str();
}

}  // namespace tfo::test
