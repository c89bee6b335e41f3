// SPDX-License-Identifier: BSD-2-Clause
// How a farm-wide rotation grows with the farm: N agents, each with a lease, a watch and a state
// file of its own, on one real etcd of three members. One line for each N, and exit code 1 if a
// rotation of the largest farm took longer than ten seconds.
//
//   tfo_rotation_scale [N]...      default 100 300 1000
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "loader/log.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/rotation_farm.h"

namespace tfo::test {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;

constexpr double kGoal = 10;       // s
constexpr double kPatience = 120;  // s
constexpr int kRotations = 3;

double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Resident memory of this process, in KiB.
int64_t resident() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, pages = 0;
  statm >> size >> pages;
  return pages * 4;
}

int64_t sockets() {
  int64_t count = 0;
  std::error_code ignored;
  for (const auto& fd : fs::directory_iterator("/proc/self/fd")) {
    count += fs::read_symlink(fd.path(), ignored).string().starts_with("socket:") ? 1 : 0;
  }
  return count;
}

/// Messages that the members' gRPC servers have taken and given, the gateway's own included.
double messages(const EtcdCluster& cluster) {
  double sum = 0;
  for (size_t i = 0; i < EtcdCluster::kMembers; i++) {
    std::istringstream metrics(cluster.metrics(i));
    std::string line;
    while (std::getline(metrics, line)) {
      if (line.starts_with("grpc_server_msg_received_total") ||
          line.starts_with("grpc_server_msg_sent_total")) {
        sum += std::stod(line.substr(line.rfind(' ')));
      }
    }
  }
  return sum;
}

/// What one size of farm came to.
struct Row {
  size_t agents = 0;
  double join = 0;                ///< s, until all have joined and acknowledged
  std::vector<double> rotations;  ///< s, from the request to the last acknowledgement
  double kib = 0, connections = 0, messages = 0;  ///< for each agent; messages in one rotation
  std::string error;
};

class Scale {
 public:
  explicit Scale(size_t agents) : agents_(agents) {}

  Row run() {
    row_.agents = agents_;
    if (!cluster_.wait_healthy()) return failed("etcd does not start: " + cluster_.logs());
    farm_.policy.deadline = 60;
    farm_.lease = std::chrono::seconds(kLease);
    farm_.timeouts = etcd::Timeouts{};
    if (auto wrong = farm_.init(); !wrong.empty()) return failed(wrong);
    if (!join()) return row_;
    for (int i = 0; i < kRotations; i++) {
      if (!rotate()) return row_;
    }
    return row_;
  }

 private:
  Row failed(const std::string& why) {
    row_.error = why;
    return row_;
  }

  bool join() {
    const int64_t memory = resident(), files = sockets();
    const double begun = now();
    for (size_t i = 0; i < agents_; i++) {
      if (add(i) == nullptr) return failed(farm_.error()).error.empty();
    }
    const bool joined = farm_.until([&] { return once_in_a_while() && complete(); }, kPatience);
    row_.join = now() - begun;
    const auto count = static_cast<double>(agents_);
    row_.kib = static_cast<double>(resident() - memory) / count;
    row_.connections = static_cast<double>(sockets() - files) / count;
    if (!joined) failed("not all have joined: " + about_leader());
    // A new leader makes no key for two lease times.
    const double leads_from = now() + 2.5 * kLease;
    farm_.until([&] { return now() > leads_from; }, kPatience);
    return row_.error.empty();
  }

  RotationNode* add(size_t index) {
    const std::string name = (index % 10 == 0 ? "lb" : "s") + std::to_string(index);
    RotationNode* node = farm_.add(name, {.balancer = index % 10 == 0});
    if (node != nullptr) nodes_.push_back(node);
    return node;
  }

  bool rotate() {
    const double sent = messages(cluster_), begun = now();
    rotation::Request request;
    const auto asked = nodes_.back()->agent->ask(request);
    if (!asked) return failed(asked.error().message).error.empty();
    const uint64_t before = nodes_.front()->document().current;
    const auto done = [&] {
      return once_in_a_while() && nodes_.front()->document().current != before && complete();
    };
    if (!farm_.until(done, kPatience)) {
      return failed(fmt::format("the rotation did not end: {}, request {}", about_leader(),
                                nodes_.back()->asked(*asked)))
          .error.empty();
    }
    row_.rotations.push_back(now() - begun);
    row_.messages = (messages(cluster_) - sent) / static_cast<double>(agents_);
    return true;
  }

  std::string about_leader() const {
    if (leader_ == nullptr) return "nobody leads";
    const auto status = leader_->agent->status();
    return fmt::format("{} leads in {}, knows {} of {}, waits for {} of them", leader_->name,
                       status["state"].dump(), status["members"].size(), agents_,
                       status["waits_for"].size());
  }

  /// Looking at a thousand agents after each of their events would be what is measured.
  bool once_in_a_while() {
    if (now() < look_at_) return false;
    look_at_ = now() + 0.1;
    return true;
  }

  /// Does the leader know of all of them, and has each acknowledged the newest document?
  bool complete() {
    if (leader_ == nullptr || leader_->agent->status()["leading"] != true) {
      leader_ = farm_.leader(0);
    }
    if (leader_ == nullptr) return false;
    const auto status = leader_->agent->status();
    return status["state"] == "steady" && status["members"].size() == agents_ &&
           status["waits_for"].empty();
  }

  static constexpr int kLease = 15;
  size_t agents_;
  EtcdCluster cluster_;
  RotationFarm farm_{cluster_};
  std::vector<RotationNode*> nodes_;
  RotationNode* leader_ = nullptr;
  double look_at_ = 0;
  Row row_;
};

int run(std::vector<size_t> sizes) {
  if (sizes.empty()) sizes = {100, 300, 1000};
  fmt::print("{:>7} {:>8} {:>24} {:>10} {:>12} {:>20}\n", "agents", "join s", "rotations s",
             "KiB/agent", "connections", "messages/rotation");
  for (const size_t size : sizes) {
    const Row row = Scale(size).run();
    std::string times;
    for (const double one : row.rotations) times += fmt::format(" {:.2f}", one);
    fmt::print("{:7} {:8.2f} {:>24} {:10.0f} {:12.1f} {:20.1f}\n", row.agents, row.join, times,
               row.kib, row.connections, row.messages);
    std::fflush(stdout);
    if (!row.error.empty()) {
      fmt::print("{} agents: {}\n", size, row.error.substr(0, 2000));
      return 1;
    }
    if (*std::max_element(row.rotations.begin(), row.rotations.end()) > kGoal) {
      fmt::print("{} agents: a rotation took more than {} s\n", size, kGoal);
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace tfo::test

int main(int argc, char** argv) {
  tfo::start_log("error");
  // A thousand nodes have a thousand disks; on one their fsyncs would wait for each other.
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
  std::vector<size_t> sizes;
  for (int i = 1; i < argc; i++) {
    const std::string text = argv[i];
    size_t size = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), size);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || size == 0) {
      fmt::print(stderr, "usage: {} [NUMBER-OF-AGENTS]...\n", argv[0]);
      return 2;
    }
    sizes.push_back(size);
  }
  return tfo::test::run(sizes);
}
