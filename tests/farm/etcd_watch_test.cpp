// SPDX-License-Identifier: BSD-2-Clause
// Watches on a real etcd of three members, while members die, freeze, lose their quorum and forget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/etcd/watch.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/etcd_session.h"

namespace tfo::test {
namespace {

using etcd::FaultKind;
using Kind = etcd::WatchNotice::Kind;
using testing::ElementsAre;
using testing::HasSubstr;

#define ASSERT_ANSWER(outcome) ASSERT_TRUE(outcome) << (outcome).error().message

class EtcdWatch : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs(); }

  /// A put through `member`, once there is a leader that it can read from.
  void put_at(size_t member, const std::string& value) {
    auto config = cluster_.config();
    config.endpoints = {cluster_.endpoint(member)};
    config.timeouts.read = std::chrono::seconds(1);
    EtcdSession other(config);
    ASSERT_TRUE(other.until([&] { return other.read("/tfo/a").has_value(); }, 30));
    const auto done = other.put("/tfo/a", value);
    ASSERT_ANSWER(done);
  }

  EtcdCluster cluster_;
};

TEST_F(EtcdWatch, QuietWatchIsAskedAndAnswers) {
  EtcdSession session(cluster_.config());
  auto start = session.read("/tfo/a");
  ASSERT_ANSWER(start);
  EtcdWatchLog log(session, {"/tfo/a", "", start->header.revision + 1});
  ASSERT_TRUE(log.wait(Kind::kCreated)) << log.text();
  EXPECT_FALSE(log.last(Kind::kCreated)->behind);
  ASSERT_TRUE(log.wait(Kind::kProgress, 3)) << log.text();
  EXPECT_LT(log.watch().silent_for(), std::chrono::seconds(1));
  ASSERT_ANSWER(session.put("/tfo/a", "1"));
  ASSERT_TRUE(log.wait_value("1")) << log.text();
  EXPECT_EQ(log.count(Kind::kInterrupted), 0U) << log.text();
}

TEST_F(EtcdWatch, LeaderKilled) {
  const size_t leader = cluster_.leader(0);
  ASSERT_LT(leader, EtcdCluster::kMembers);
  EtcdSession session(cluster_.config(leader));
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  EtcdWatchLog log(session, {"/tfo/a", "", first->header.revision});
  ASSERT_TRUE(log.wait_value("1")) << log.text();
  EXPECT_EQ(log.watch().endpoint(), cluster_.endpoint(leader));
  cluster_.kill9(leader);
  ASSERT_TRUE(log.wait(Kind::kInterrupted)) << log.text();
  put_at((leader + 1) % EtcdCluster::kMembers, "2");
  put_at((leader + 2) % EtcdCluster::kMembers, "3");
  ASSERT_TRUE(log.wait_value("3")) << log.text();
  EXPECT_THAT(log.values(), ElementsAre("1", "2", "3")) << log.text();
  EXPECT_NE(log.watch().endpoint(), cluster_.endpoint(leader));
}

TEST_F(EtcdWatch, FrozenMemberIsNoticedByItsSilence) {
  const size_t leader = cluster_.leader(0);
  const size_t watched = (leader + 1) % EtcdCluster::kMembers;
  EtcdSession session(cluster_.config(watched));
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  EtcdWatchLog log(session, {"/tfo/a", "", first->header.revision});
  ASSERT_TRUE(log.wait_value("1")) << log.text();
  cluster_.freeze(watched);
  put_at(leader, "2");
  ASSERT_TRUE(log.wait_value("2")) << log.text();
  EXPECT_THAT(log.last(Kind::kInterrupted)->text, HasSubstr("silent for"));
  EXPECT_THAT(log.last(Kind::kInterrupted)->text, HasSubstr(cluster_.endpoint(watched)));
  cluster_.thaw(watched);
}

TEST_F(EtcdWatch, QuorumLostAndBack) {
  auto config = cluster_.config();
  config.timeouts.silence = std::chrono::seconds(20);  // so that it is etcd that says it
  EtcdSession session(config);
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  EtcdWatchLog log(session, {"/tfo/a", "", first->header.revision});
  ASSERT_TRUE(log.wait_value("1")) << log.text();
  cluster_.freeze(1);
  cluster_.freeze(2);
  ASSERT_TRUE(log.wait(Kind::kInterrupted, 1, 20)) << log.text();
  EXPECT_THAT(log.notices().at(log.notices().size() - 1).text, HasSubstr("no leader"));

  config.endpoints = {cluster_.endpoint(0)};
  EtcdSession alone(config);
  auto refused = alone.read("/tfo/a");
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.error().code, 14) << refused.error().message;
  auto unknown = alone.put("/tfo/a", "lost");
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(etcd::outcome_unknown(unknown.error())) << unknown.error().message;

  cluster_.thaw(1);
  cluster_.thaw(2);
  put_at(1, "2");
  ASSERT_TRUE(log.wait_value("2", 30)) << log.text();
}

TEST_F(EtcdWatch, CompactedAwayWhileNobodyLooked) {
  EtcdSession session(cluster_.config());
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  for (const char* value : {"2", "3", "4"}) ASSERT_ANSWER(session.put("/tfo/a", value));
  const int64_t now = session.client().revision();
  ASSERT_ANSWER(session.post("/v3/kv/compaction", {{"revision", etcd::to_text(now)}}));
  EtcdWatchLog log(session, {"/tfo/a", "", first->header.revision});
  ASSERT_TRUE(log.wait(Kind::kCompacted)) << log.text();
  EXPECT_EQ(log.last(Kind::kCompacted)->compact_revision, now);
  EXPECT_TRUE(log.last(Kind::kCompacted)->ended());
  EXPECT_TRUE(log.values().empty());

  auto read = session.read("/tfo/a");
  ASSERT_ANSWER(read);
  EXPECT_EQ(read->kvs.at(0).value, "4");
  EtcdWatchLog next(session, {"/tfo/a", "", read->header.revision + 1});
  ASSERT_TRUE(next.wait(Kind::kCreated)) << next.text();
  ASSERT_ANSWER(session.put("/tfo/a", "5"));
  ASSERT_TRUE(next.wait_value("5")) << next.text();
  EXPECT_EQ(log.count(Kind::kCompacted), 1U) << log.text();
}

/// A frozen watch whose revisions are compacted away meanwhile learns it when it is opened again.
TEST_F(EtcdWatch, CompactedAwayWhileCutOff) {
  const size_t leader = cluster_.leader(0);
  const size_t watched = (leader + 1) % EtcdCluster::kMembers;
  auto config = cluster_.config(watched);
  EtcdSession session(config);
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  EtcdWatchLog log(session, {"/tfo/a", "", first->header.revision});
  ASSERT_TRUE(log.wait_value("1")) << log.text();
  cluster_.freeze(watched);
  EtcdSession other(cluster_.config(leader));
  for (const char* value : {"2", "3", "4"}) ASSERT_ANSWER(other.put("/tfo/a", value));
  ASSERT_ANSWER(
      other.post("/v3/kv/compaction",
                 {{"revision", etcd::to_text(other.client().revision())}, {"physical", true}}));
  ASSERT_TRUE(log.wait(Kind::kCompacted)) << log.text();
  EXPECT_THAT(log.values(), ElementsAre("1")) << log.text();
  cluster_.thaw(watched);
}

TEST_F(EtcdWatch, EventsOfManyMegabytesComeWholeAndOnce) {
  EtcdSession session(cluster_.config());
  auto start = session.read("/tfo/a");
  ASSERT_ANSWER(start);
  constexpr size_t kMegabyte = 1U << 20;
  std::vector<std::string> values;
  for (char c = 'a'; c < 'f'; c++) values.emplace_back(kMegabyte, c);
  for (const std::string& value : values) ASSERT_ANSWER(session.put("/tfo/a", value));
  EtcdWatchLog log(session, {"/tfo/a", "", start->header.revision + 1});
  ASSERT_TRUE(log.wait_value(values.back())) << log.text();
  EXPECT_EQ(log.values(), values);

  auto config = cluster_.config();
  config.limits.line = kMegabyte / 2;
  EtcdSession small(config);
  EtcdWatchLog refused(small, {"/tfo/a", "", start->header.revision + 1});
  ASSERT_TRUE(refused.wait(Kind::kTooLarge)) << refused.text();
  config.limits.body = kMegabyte / 2;
  EtcdSession smaller(config);
  auto too_large = smaller.read("/tfo/a");
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().kind, FaultKind::kTooLarge) << too_large.error().message;
}

}  // namespace
}  // namespace tfo::test
