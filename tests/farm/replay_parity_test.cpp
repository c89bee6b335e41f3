// SPDX-License-Identifier: BSD-2-Clause
// Live and replayed, packet by packet: frames go through the attached program one at a time while
// tcpdump captures them from the same interface; the replay of that capture says the same of each.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "tests/support/capture_read.h"
#include "tests/support/cases.h"
#include "tests/support/corpus.h"
#include "tests/support/frame_sender.h"
#include "tests/support/outcome.h"
#include "tests/support/replay_judge.h"
#include "tests/support/sandbox.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

constexpr size_t kRandomFrames = 5000;
constexpr size_t kShortest = 14;
constexpr size_t kLongest = 1514;

/// case_world() on any clock: what expires has expired in 1970, nothing else ever does.
World timeless_world() {
  World world = case_world();
  for (auto& [pool, keys] : world.pools) {
    for (WorldKey& key : keys) {
      key.not_after_ns = key.not_after_ns < world.now_ns ? 1'000'000'000 : UINT64_MAX;
    }
  }
  return world;
}

/// tcpdump on an interface of this namespace, incoming frames only.
class Tcpdump {
 public:
  Tcpdump(const std::string& interface, std::string file, std::string log)
      : file_(std::move(file)), log_(std::move(log)), pid_(fork()) {
    if (pid_ != 0) return;
    dup2(open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO);
    // The buffer holds thousands of frames of this snap length: none is dropped.
    execlp("tcpdump", "tcpdump", "-Z", "root", "-i", interface.c_str(), "-Q", "in", "-n",
           "--immediate-mode", "-U", "-s", "4096", "-B", "65536", "--time-stamp-precision=nano",
           "-w", file_.c_str(), nullptr);
    _exit(127);
  }
  Tcpdump(const Tcpdump&) = delete;
  Tcpdump& operator=(const Tcpdump&) = delete;
  ~Tcpdump() { stop(); }

  bool listening() const { return text(log_).find("listening on") != std::string::npos; }
  std::string log() const { return text(log_); }
  size_t frames() const { return read_capture(content()).frames.size(); }
  Bytes content() const {
    const std::string bytes = text(file_);
    return {bytes.begin(), bytes.end()};
  }
  void stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGINT);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  static std::string text(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string file_, log_;
  pid_t pid_;
};

class ReplayParity : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(netns_.ok()) << "needs root: a network namespace";
    ASSERT_TRUE(netns_.add_veth("wire"));
    World world = timeless_world();
    world.now_ns = 1'000'000'000'000;
    auto xdp = load_world(world);
    ASSERT_OK(xdp);
    xdp_.emplace(std::move(*xdp));
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(if_nametoindex("wire")), xdp_->program_fd(),
                             XDP_FLAGS_DRV_MODE, nullptr),
              0);
  }

  /// Sends one frame and waits until it was counted; the cell that moved.
  std::optional<Verdict> live(FrameSender& sender, const Bytes& frame);

  PrivateNetns netns_;
  std::optional<XdpUnderTest> xdp_;
  std::vector<tfo_counters> before_;
};

std::optional<Verdict> moved(const tfo_counters& before, const tfo_counters& after, uint32_t slot) {
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; reason++) {
    for (uint32_t option = 0; option < TFO_OPTION_KINDS; option++) {
      for (unsigned data = 0; data < 2; data++) {
        if (after.cell[reason][option][data] == before.cell[reason][option][data]) continue;
        return Verdict{static_cast<tfo_reason>(reason), option, data != 0, slot};
      }
    }
  }
  return std::nullopt;
}

std::optional<Verdict> ReplayParity::live(FrameSender& sender, const Bytes& frame) {
  constexpr uint32_t kSlots = 8;
  if (before_.empty()) before_ = xdp_->counters(kSlots).value();
  sender.send({frame}, 1);
  std::optional<Verdict> verdict;
  wait_until([&] {
    const std::vector<tfo_counters> after = xdp_->counters(kSlots).value();
    for (uint32_t slot = 0; slot < kSlots && !verdict; slot++) {
      verdict = moved(before_[slot], after[slot], slot);
    }
    if (verdict) before_ = after;
    return verdict.has_value();
  });
  return verdict;
}

/// The kernel drops a frame that ends within its tag or the two bytes behind it before any tap sees
/// it (skb_vlan_untag() in net/core/skbuff.c).
bool reaches_taps(const Bytes& frame) {
  const unsigned type = frame[12] << 8 | frame[13];
  return (type != kVlan && type != kQinQ) || frame.size() >= 20;
}

std::vector<Bytes> frames_to_send(uint64_t seed) {
  std::vector<Bytes> frames;
  const auto add = [&frames](const Bytes& frame) {
    if (frame.size() < kShortest || frame.size() > kLongest) return;
    if (reaches_taps(frame)) frames.push_back(frame);
  };
  for (const CaseTable& table : kCaseTables) {
    for (const Case& c : table.make()) {
      if (c.packet.link.present && c.decap == 0) add(c.packet.frame());
    }
  }
  Corpus corpus(seed);
  for (size_t i = 0; i < kRandomFrames;) {
    const Sample sample = corpus.next();
    if (sample.l3 || sample.decap != 0) continue;
    add(sample.frame);
    i++;
  }
  return frames;
}

TEST_F(ReplayParity, SameVerdictsLiveAndReplayed) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  const CaptureDirectory directory;
  Tcpdump tcpdump("wire", directory.file("live.pcap"), directory.file("tcpdump.log"));
  ASSERT_TRUE(wait_until([&] { return tcpdump.listening(); })) << tcpdump.log();

  FrameSender sender("wire_peer");
  const std::vector<Bytes> frames = frames_to_send(seed);
  std::vector<Verdict> seen;
  ReasonCounts counts;
  for (const Bytes& frame : frames) {
    const auto verdict = live(sender, frame);
    ASSERT_TRUE(verdict) << "not counted within 10 s:\n" << hex_dump(frame);
    seen.push_back(*verdict);
    counts.add(verdict->reason);
  }
  ASSERT_TRUE(wait_until([&] { return tcpdump.frames() >= frames.size(); }))
      << tcpdump.frames() << " of " << frames.size() << " captured\n"
      << tcpdump.log();
  tcpdump.stop();

  auto world = replay_world(timeless_world());
  ASSERT_OK(world);
  const ReplayRun run = replay_file(tcpdump.content(), *world);
  ASSERT_EQ(run.error, "");
  ASSERT_EQ(run.frames.size(), frames.size());
  for (size_t i = 0; i < frames.size(); i++) {
    ASSERT_EQ(to_string(run.frames[i]), to_string(comparable(seen[i]))) << "frame " << i + 1 << '\n'
                                                                        << hex_dump(frames[i]);
  }
  fmt::print("{} frames, the same verdict live and replayed\n{}", frames.size(), counts.text());
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; reason++) {
    if (reason == TFO_INTERNAL_ERROR) continue;
    EXPECT_GT(counts.of(static_cast<tfo_reason>(reason)), 0U) << reason;
  }
}

}  // namespace
}  // namespace tfo::test
