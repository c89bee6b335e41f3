// SPDX-License-Identifier: BSD-2-Clause
//
// tfod dies at random instants (SIGKILL) while SYNs arrive, is started again, is replaced by
// another build and by one with other maps: every SYN that the interface took is counted exactly
// once.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "loader/dataplane/live_set.h"
#include "loader/dataplane/totals.h"
#include "tests/support/daemon_process.h"
#include "tests/support/frame_sender.h"
#include "tests/support/options.h"
#include "tests/support/packet.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kTfod = TFO_BIN_DIR "/tfod";
constexpr const char* kOtherBuild = TFO_BIN_DIR "/tests/tfod_other_build";
constexpr const char* kOtherAbi = TFO_BIN_DIR "/tests/tfod_other_abi";
constexpr double kMinimumRate = 100'000;  // SYNs a second
constexpr double kRate = 150'000;  // aimed at; more would starve the daemons on a small machine

/// SYNs of every sort to two VIPs and to nobody.
std::vector<Bytes> all_sorts_of_syns() {
  std::vector<Bytes> frames;
  for (const char* to : {"198.51.100.1", "198.51.100.2", "198.51.100.9"}) {
    frames.push_back(Packet::syn("192.0.2.1", to).frame());
    frames.push_back(Packet::syn("192.0.2.2", to).option(fast_open()).frame());
    frames.push_back(Packet::syn("192.0.2.3", to).option(fast_open(pattern(8))).data(100).frame());
    frames.push_back(Packet::syn("192.0.2.4", to).data(10).frame());
  }
  return frames;
}

/// Sends until it is stopped, on a thread of its own.
class Traffic {
 public:
  explicit Traffic(const std::string& interface)
      : interface_(interface), thread_([this] { run(); }) {}
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  uint64_t sent() const { return sent_; }
  double rate() const { return static_cast<double>(sent_) / seconds_; }

 private:
  void run() {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), -20);
    FrameSender sender(interface_);
    const auto frames = all_sorts_of_syns();
    const auto begun = steady_clock::now();
    while (!stop_) {
      sent_ += sender.send(frames, 256);
      std::this_thread::sleep_until(begun + duration<double>(static_cast<double>(sent_) / kRate));
    }
    seconds_ = duration<double>(steady_clock::now() - begun).count();
  }

  std::string interface_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> sent_ = 0;
  double seconds_ = 1;
  std::thread thread_;
};

class Lifecycle : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    ASSERT_TRUE(netns_.add_veth("wire"));
    config_ = bpffs_.directory() / "tfod.json";
    const std::string directory = bpffs_.directory().string();
    std::ofstream(config_) << R"({"instance": "test", "http": null, "bpffs": ")" << directory
                           << R"(/bpf", "socket": ")" << socket().string()
                           << R"(", "state_directory": ")" << directory << R"(",
        "interfaces": [{"name": "wire", "mode": "native"}],
        "pools": {"web": {"store": "file", "file": ")"
                           << directory << R"(/web.keys"}},
        "vips": [{"name": "a", "addresses": ["198.51.100.1"], "pool": "web"},
                 {"name": "b", "addresses": ["198.51.100.2"], "pool": "web"}]})";
  }

  std::filesystem::path socket() const { return bpffs_.directory() / "tfod.sock"; }

  std::unique_ptr<DaemonProcess> daemon(const char* program) {
    return std::make_unique<DaemonProcess>(program, config_, bpffs_.directory() / "tfod.log");
  }

  /// Everything that the maps in force have counted, whatever their ABI.
  uint64_t counted() const {
    auto stats = Map::open_pin("stats", bpffs_.pins() / "maps/stats");
    auto base = Map::open_pin("stats_base", bpffs_.pins() / "maps/stats_base");
    if (!stats || !base) return 0;
    const auto totals = read_totals(*stats, &*base, stats->entries());
    if (!totals) return 0;
    uint64_t sum = 0;
    for (const auto& counters : *totals) sum += packet_total(counters);
    return sum;
  }

  uint64_t dropped() const {
    return interface_drops("wire").dropped + interface_drops("wire_peer").dropped;
  }

  void expect_every_syn_counted(Traffic& traffic, uint64_t before, uint64_t dropped_before) {
    traffic.stop();
    const uint64_t drops = dropped() - dropped_before;
    wait_until([&] { return counted() - before + drops >= traffic.sent(); });
    std::printf("%lu SYNs at %.0f a second: %lu counted, %lu dropped by the interface\n",
                traffic.sent(), traffic.rate(), counted() - before, drops);
    EXPECT_EQ(traffic.sent(), counted() - before + drops);
    EXPECT_GE(traffic.rate(), kMinimumRate);
  }

  /// Starts one and waits for it; the log is shown if it does not come up.
  void start(DaemonProcess& process) {
    process.start();
    ASSERT_TRUE(process.wait_ready(socket())) << process.log_text();
  }

  void upgrade(const char* from, const char* to);

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
  std::filesystem::path config_;
  std::mt19937_64 random_{test_seed()};
};

TEST_F(Lifecycle, KilledAtRandomInstantsUnderTraffic) {
  auto process = daemon(kTfod);
  ASSERT_NO_FATAL_FAILURE(start(*process));
  const uint64_t before = counted();
  const uint64_t dropped_before = dropped();
  Traffic traffic("wire_peer");
  const int kills = full() ? 100 : 20;
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_for(milliseconds(random_() % 400));
    process->kill9();
    // Some die while they start, some while they run, some only after a while without any.
    if (i % 3 == 0) std::this_thread::sleep_for(milliseconds(random_() % 100));
    process->start();
    if (i % 4 == 0) {
      ASSERT_TRUE(process->wait_ready(socket())) << process->log_text();
    }
  }
  ASSERT_TRUE(process->wait_ready(socket())) << process->log_text();
  expect_every_syn_counted(traffic, before, dropped_before);
}

void Lifecycle::upgrade(const char* from, const char* to) {
  auto old = daemon(from);
  ASSERT_NO_FATAL_FAILURE(start(*old));
  const uint64_t before = counted();
  const uint64_t dropped_before = dropped();
  Traffic traffic("wire_peer");
  const int rounds = full() ? 20 : 4;
  for (int i = 0; i < rounds; ++i) {
    old->kill9();
    auto fresh = daemon(to);
    // The new one dies on its way, too, but for the last round.
    fresh->start();
    if (i + 1 < rounds) {
      std::this_thread::sleep_for(milliseconds(random_() % 500));
    } else {
      ASSERT_TRUE(fresh->wait_ready(socket())) << fresh->log_text();
    }
    fresh->kill9();
    if (i + 1 < rounds) {
      old->start();
      // Going back is an upgrade as well.
      ASSERT_TRUE(old->wait_ready(socket())) << old->log_text();
    }
  }
  auto last = daemon(to);
  ASSERT_NO_FATAL_FAILURE(start(*last));
  expect_every_syn_counted(traffic, before, dropped_before);
}

TEST_F(Lifecycle, UpgradedToAnotherBuildUnderTraffic) { upgrade(kTfod, kOtherBuild); }

TEST_F(Lifecycle, UpgradedToAnotherAbiUnderTraffic) {
  upgrade(kTfod, kOtherAbi);
  auto meta = read_meta(bpffs_.pins() / "maps");
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->abi, 1000U);
}

}  // namespace
}  // namespace tfo::test
