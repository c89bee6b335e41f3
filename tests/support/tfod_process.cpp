// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/tfod_process.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <iterator>

namespace tfo::test {

using nlohmann::json;

TfodProcess::TfodProcess(const std::filesystem::path& config, const std::filesystem::path& log,
                         const std::vector<std::string>& wrapper,
                         const std::vector<std::string>& program)
    : log_(log) {
  std::vector<std::string> words = wrapper;
  words.insert(words.end(), program.begin(), program.end());
  if (program.empty()) words.emplace_back(TFO_BIN_DIR "/tfod");
  words.insert(words.end(), {"--config", config.string()});
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const Fd out(open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!out) return;
  pid_ = fork();
  if (pid_ == 0) {
    dup2(out.get(), STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
}

TfodProcess::~TfodProcess() {
  if (pid_ <= 0 || wait(0) >= 0) return;
  kill(pid_, SIGKILL);
  wait();
}

std::string TfodProcess::log() const { return slurp(log_); }

bool TfodProcess::says(const std::string& text, double seconds) const {
  return wait_until([&] { return log().find(text) != std::string::npos; }, seconds);
}

void TfodProcess::signal(int number) const { kill(pid_, number); }

int TfodProcess::wait(double seconds) {
  const auto ended = [&] {
    int status = 0;
    if (status_ < 0 && waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return status_ >= 0;
  };
  wait_until(ended, seconds);
  return status_;
}

std::vector<std::string> clocked_tfod(const std::filesystem::path& clock_file) {
  return {TFO_BIN_DIR "/tests/tfod_clocked", clock_file.string()};
}

TfodSite::TfodSite() {
  ok_ = netns_.ok() && bpffs_.ok() && shell("ip link set lo up") && netns_.add_veth("t0") &&
        netns_.add_veth("t1");
  config = {{"instance", "test"},
            {"interfaces", {{{"name", "t0"}}}},
            {"pools", {{"web", {{"file", path("state/web.keys")}}}}},
            {"vips",
             {{{"name", "web"}, {"addresses", {"192.0.2.10"}}, {"ports", {80}}, {"pool", "web"}}}},
            {"http", nullptr},
            {"socket", path("run/tfod.sock")},
            {"state_directory", path("state")},
            {"bpffs", bpffs_.root()}};
}

std::filesystem::path TfodSite::write(const std::string& name) const {
  std::ofstream(path(name)) << config.dump(2) << "\n";
  return path(name);
}

json TfodSite::ask(const json& request) const {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string where = config["socket"];
  where.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (!fd || connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return {};
  const timeval patience{10, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const std::string line = request.dump() + "\n";
  if (send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) return {};
  std::string reply;
  char buffer[65536];
  ssize_t n = 0;
  while (!reply.ends_with('\n') && (n = read(fd.get(), buffer, sizeof(buffer))) > 0) {
    reply.append(buffer, static_cast<size_t>(n));
  }
  return json::parse(reply, nullptr, false);
}

json TfodSite::watched(const std::string& name) const {
  const json subjects = status()["monitor"]["subjects"];
  for (const json& one : subjects) {
    if (one["name"] == name) return one;
  }
  return {};
}

bool TfodSite::raised(const std::string& id) const {
  const json now = status();
  for (const json& condition : now["conditions"]) {
    if (condition["id"] == id) return true;
  }
  return false;
}

unsigned xdp_program_id(const std::string& interface) {
  unsigned id = 0;
  bpf_xdp_query_id(static_cast<int>(if_nametoindex(interface.c_str())), 0, &id);
  return id;
}

unsigned attach_foreign_program(const std::string& interface) {
  const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "someone_else", "GPL", pass, 2, nullptr));
  if (!program) return 0;
  const int index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (bpf_xdp_attach(index, program.get(), 0, nullptr) != 0) return 0;
  return xdp_program_id(interface);
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace tfo::test
