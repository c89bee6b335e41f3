// SPDX-License-Identifier: BSD-2-Clause
// Why all validators take a ring before the first server does: a live kernel behind the program,
// keys that rotate, and clients with every cookie that was ever handed out and is still accepted,
// asked after each single write.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "loader/dataplane/ring_writer.h"
#include "loader/keys/file_store.h"
#include "loader/keys/pool.h"
#include "loader/keys/sysctl_sink.h"
#include "tests/support/cases.h"
#include "tests/support/live_farm.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

constexpr RotationPolicy kByCommand{.interval = 0, .accept_generations = 4, .not_after = 0};
constexpr int kRotations = 8;
constexpr size_t kData = 11;

/// The ring of the program under test.
class ProgramSink : public KeySink {
 public:
  explicit ProgramSink(XdpUnderTest& xdp) : xdp_(xdp) {}
  Role role() const override { return Role::validator; }
  std::string name() const override { return "bpf"; }

  Result<> apply(const KeyRing& ring) override {
    const auto entry = kernel_ring(ring, 0);
    if (!entry) return tl::unexpected(entry.error());
    return xdp_.set_ring(0, *entry);
  }

 private:
  XdpUnderTest& xdp_;
};

/// Another sink, in the role that is asked for, and something to do after each of its writes.
class WatchedSink : public KeySink {
 public:
  using Hook = std::function<void(const KeyRing&)>;
  WatchedSink(std::unique_ptr<KeySink> sink, Role role, Hook hook)
      : sink_(std::move(sink)), role_(role), hook_(std::move(hook)) {}

  Role role() const override { return role_; }
  std::string name() const override { return sink_->name(); }
  Result<> verify(const KeyRing& ring) override { return sink_->verify(ring); }
  Result<std::vector<Key>> held() override { return sink_->held(); }
  bool gone() const override { return sink_->gone(); }

  Result<> apply(const KeyRing& ring) override {
    auto applied = sink_->apply(ring);
    hook_(ring);
    return applied;
  }

 private:
  std::unique_ptr<KeySink> sink_;
  Role role_;
  Hook hook_;
};

/// What became of the SYNs of one run.
struct Tally {
  size_t writes = 0;  ///< so often clients came
  size_t syns = 0;
  size_t accepted = 0;
  size_t refused = 0;  ///< TCPFastOpenPassiveFail
  size_t unknown = 0;  ///< to the program: neither current, staged, previous nor retired
};

bool is_unknown(const Verdict& verdict) {
  static constexpr std::array kKnown = {TFO_COOKIE_CURRENT, TFO_COOKIE_STAGED, TFO_COOKIE_PREVIOUS,
                                        TFO_COOKIE_RETIRED};
  return std::ranges::find(kKnown, verdict.reason) == kKnown.end();
}

class SinkOrder : public testing::Test {
 protected:
  enum class Order { validators_first, servers_first };

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to make network namespaces";
    // One CPU: frames are seen in the order in which they were sent.
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof(one), &one);
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-order-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    if (directory_.empty()) return;
    std::filesystem::remove_all(directory_);
    sched_setaffinity(0, sizeof(before_), &before_);
  }

  void rotate_under_load(Order order, bool renew);
  void build(bool renew);
  void add_sinks(KeyPool& pool, Order order);
  void clients_come(const KeyRing& ring);
  void client_comes(const Side& side, const Key& key);

  cpu_set_t before_{};
  std::filesystem::path directory_;
  std::optional<XdpUnderTest> xdp_;
  std::unique_ptr<LiveFarm> farm_;
  KeySink* server_ = nullptr;
  std::vector<Key> minted_;  ///< every key that was the server's first one
  uint16_t port_ = 20000;
  Tally tally_;
};

void SinkOrder::build(bool renew) {
  World world;
  world.count_other = false;  // resets pass uncounted
  for (const Side& side : kSides) {
    world.vips.push_back(
        {.address = Address::of(side.web), .port = 443, .mode = TFO_ENFORCE, .renew = renew});
  }
  auto xdp = load_world(world);
  ASSERT_TRUE(xdp) << xdp.error().message;
  xdp_.emplace(std::move(*xdp));
  auto farm = LiveFarm::build(*xdp_);
  ASSERT_TRUE(farm) << farm.error().message;
  farm_ = std::move(*farm);
}

void SinkOrder::add_sinks(KeyPool& pool, Order order) {
  auto server = SysctlSink::open(farm_->server_netns());
  ASSERT_TRUE(server) << server.error().message;
  server_ = server->get();
  const auto hook = [this](const KeyRing& ring) { clients_come(ring); };
  const auto [program_role, server_role] =
      order == Order::validators_first ? std::pair(KeySink::Role::validator, KeySink::Role::server)
                                       : std::pair(KeySink::Role::server, KeySink::Role::validator);
  pool.add_sink(
      std::make_unique<WatchedSink>(std::make_unique<ProgramSink>(*xdp_), program_role, hook));
  pool.add_sink(std::make_unique<WatchedSink>(std::move(*server), server_role, hook));
}

/// One client of each family for every key that cookies were minted with and that counts still.
void SinkOrder::clients_come(const KeyRing& ring) {
  const auto held = server_->held();
  ASSERT_TRUE(held) << held.error().message;
  if (held->empty()) return;
  if (std::ranges::find(minted_, held->front()) == minted_.end()) minted_.push_back(held->front());
  tally_.writes++;
  for (const Generation& generation : ring.generations) {
    const bool known = std::ranges::find(minted_, generation.key) != minted_.end();
    if (!known || generation.place == TFO_PLACE_REVOKED) continue;
    for (const Side& side : kSides) client_comes(side, generation.key);
  }
}

void SinkOrder::client_comes(const Side& side, const Key& key) {
  Packet syn = web_syn(side).ports(++port_, 443).data(kData);
  syn.option(fast_open(cookie_of(key.text().str().c_str(), syn)));
  farm_->address(syn);
  const auto seen = farm_->send({syn.frame()}, port_, syn.tcp.sequence);
  ASSERT_TRUE(seen) << seen.error().message;
  tally_.syns++;
  tally_.accepted += seen->mib.accepted;
  tally_.refused += seen->mib.refused;
  tally_.unknown += static_cast<size_t>(std::ranges::count_if(seen->verdicts, is_unknown));
  ASSERT_EQ(seen->verdicts.size(), 1U) << "the program sees each SYN once";
  ASSERT_TRUE(seen->answer);
  EXPECT_EQ(seen->answer->acked, 1 + (seen->mib.refused == 0 ? kData : 0));
}

void SinkOrder::rotate_under_load(Order order, bool renew) {
  ASSERT_NO_FATAL_FAILURE(build(renew));
  const SystemClock clock;
  KeyPool pool("web", std::make_unique<FileStore>(directory_ / "keys", Rotation(kByCommand)), clock,
               [](const KeyCondition& condition) { EXPECT_EQ(condition.evidence, ""); });
  ASSERT_NO_FATAL_FAILURE(add_sinks(pool, order));
  ASSERT_TRUE(pool.start());
  for (int i = 0; i < kRotations && !HasFatalFailure(); ++i) {
    const auto rotated = pool.rotate();
    ASSERT_TRUE(rotated) << rotated.error().message;
  }
  EXPECT_EQ(minted_.size(), kRotations + 1U);
  EXPECT_EQ(tally_.accepted + tally_.refused, tally_.syns);
  fmt::print("{} of {} SYNs refused, {} unknown to the program; {} rotations, {} writes\n",
             tally_.refused, tally_.syns, tally_.unknown, kRotations, tally_.writes);
}

TEST_F(SinkOrder, ValidatorsFirstWithRenewalNobodyIsRefused) {
  rotate_under_load(Order::validators_first, true);
  EXPECT_GE(tally_.syns, 5U * kRotations) << "a test that asks nobody";
  EXPECT_EQ(tally_.refused, 0U);
  EXPECT_EQ(tally_.unknown, 0U);
}

/// A server gives up its backup key for the staged one while the program still renews to it, and
/// has the very first key before the program does.
TEST_F(SinkOrder, ServersFirstSomebodyIsRefused) {
  rotate_under_load(Order::servers_first, true);
  EXPECT_GE(tally_.refused, 1U);
  EXPECT_GE(tally_.unknown, 1U);
}

TEST_F(SinkOrder, WithoutRenewalSomebodyIsRefused) {
  rotate_under_load(Order::validators_first, false);
  EXPECT_GE(tally_.refused, 1U);
  EXPECT_EQ(tally_.unknown, 0U);
}

}  // namespace
}  // namespace tfo::test
