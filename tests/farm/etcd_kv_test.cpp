// SPDX-License-Identifier: BSD-2-Clause
// Keys, transactions and leases of a real etcd of three members, and writes whose outcome is lost.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "loader/etcd/kv.h"
#include "loader/etcd/lease.h"
#include "loader/etcd/pages.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/etcd_session.h"

namespace tfo::test {
namespace {

using etcd::Compare;
using etcd::FaultKind;
using std::chrono::milliseconds;
using testing::HasSubstr;

#define ASSERT_ANSWER(outcome) ASSERT_TRUE(outcome) << (outcome).error().message

class EtcdKv : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs(); }
  EtcdCluster cluster_;
};

etcd::Txn swap(const std::string& key, const std::string& from, const std::string& to) {
  etcd::Range read;
  read.key = key;
  return {{etcd::value_is(key, from)}, {etcd::Put{key, to, 0}}, {read}};
}

TEST_F(EtcdKv, ReadsWritesAndTransactions) {
  EtcdSession session(cluster_.config());
  const std::string bytes("\0\xff\n\"", 4);
  auto missing = session.read("/tfo/a");
  ASSERT_ANSWER(missing);
  EXPECT_TRUE(missing->kvs.empty());
  EXPECT_EQ(missing->count, 0);

  auto made = session.txn({{etcd::absent("/tfo/a")}, {etcd::Put{"/tfo/a", bytes, 0}}, {}});
  ASSERT_ANSWER(made);
  EXPECT_TRUE(made->succeeded);
  EXPECT_EQ(made->replies.size(), 1U);
  auto again = session.txn({{etcd::absent("/tfo/a")}, {etcd::Put{"/tfo/a", "x", 0}}, {}});
  ASSERT_ANSWER(again);
  EXPECT_FALSE(again->succeeded);

  auto swapped = session.txn(swap("/tfo/a", bytes, "second"));
  ASSERT_ANSWER(swapped);
  EXPECT_TRUE(swapped->succeeded);
  auto refused = session.txn(swap("/tfo/a", bytes, "third"));
  ASSERT_ANSWER(refused);
  EXPECT_FALSE(refused->succeeded);
  ASSERT_EQ(refused->replies.size(), 1U);
  const auto& found = std::get<etcd::RangeReply>(refused->replies[0]);
  ASSERT_EQ(found.kvs.size(), 1U);
  EXPECT_EQ(found.kvs[0].value, "second");
  EXPECT_EQ(found.kvs[0].version, 2);
  EXPECT_EQ(found.kvs[0].mod_revision, swapped->header.revision);
  EXPECT_EQ(found.kvs[0].create_revision, made->header.revision);
  EXPECT_EQ(session.client().revision(), swapped->header.revision);

  auto gone = session.await<etcd::DeleteReply>(
      [&](auto done) { return etcd::remove(session.client(), {"/tfo/a", ""}, std::move(done)); });
  ASSERT_ANSWER(gone);
  EXPECT_EQ(gone->deleted, 1);
}

TEST_F(EtcdKv, RangesAndComparesOverAPrefix) {
  EtcdSession session(cluster_.config());
  etcd::Txn txn;
  for (int i = 0; i < 5; i++)
    txn.then.push_back(etcd::Put{"/tfo/member/" + std::to_string(i), "m", 0});
  auto made = session.txn(txn);
  ASSERT_ANSWER(made);
  etcd::Range members;
  members.key = "/tfo/member/";
  members.range_end = etcd::prefix_end(members.key);
  members.limit = 2;
  members.keys_only = true;
  auto some = session.range(members);
  ASSERT_ANSWER(some);
  EXPECT_EQ(some->kvs.size(), 2U);
  EXPECT_TRUE(some->more);
  EXPECT_EQ(some->count, 5);
  EXPECT_EQ(some->kvs[0].value, "");

  // "Nobody has joined since": one compare however many there are.
  Compare nobody_new;
  nobody_new.key = members.key;
  nobody_new.range_end = members.range_end;
  nobody_new.target = Compare::Target::kCreate;
  nobody_new.relation = Compare::Relation::kLess;
  nobody_new.number = made->header.revision + 1;
  auto held = session.txn({{nobody_new}, {}, {}});
  ASSERT_ANSWER(held);
  EXPECT_TRUE(held->succeeded);
  ASSERT_ANSWER(session.put("/tfo/member/9", "m"));
  auto broken = session.txn({{nobody_new}, {}, {}});
  ASSERT_ANSWER(broken);
  EXPECT_FALSE(broken->succeeded);
}

TEST_F(EtcdKv, MoreThan128ComparesAreRefusedForGood) {
  EtcdSession session(cluster_.config());
  etcd::Txn txn;
  for (int i = 0; i < 128; i++) txn.when.push_back(etcd::absent("/tfo/" + std::to_string(i)));
  auto fits = session.txn(txn);
  ASSERT_ANSWER(fits);
  EXPECT_TRUE(fits->succeeded);
  txn.when.push_back(etcd::absent("/tfo/128"));
  txn.then.emplace_back(etcd::Put{"/tfo/x", "x", 0});
  auto refused = session.txn(txn);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FaultKind::kRefused);
  EXPECT_FALSE(etcd::outcome_unknown(refused.error()));
  EXPECT_THAT(refused.error().message, HasSubstr("split the transaction"));
}

TEST_F(EtcdKv, CompactedAndFutureRevisionsAreToldApart) {
  EtcdSession session(cluster_.config());
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  auto second = session.put("/tfo/a", "2");
  ASSERT_ANSWER(second);
  etcd::Range old;
  old.key = "/tfo/a";
  old.revision = first->header.revision;
  auto before = session.range(old);
  ASSERT_ANSWER(before);
  EXPECT_EQ(before->kvs.at(0).value, "1");
  const auto revision = etcd::to_text(second->header.revision);
  ASSERT_ANSWER(session.post("/v3/kv/compaction", {{"revision", revision}, {"physical", true}}));
  auto compacted = session.range(old);
  ASSERT_FALSE(compacted);
  EXPECT_EQ(compacted.error().kind, FaultKind::kCompacted);
  old.revision = second->header.revision + 100;
  auto future = session.range(old);
  ASSERT_FALSE(future);
  EXPECT_EQ(future.error().kind, FaultKind::kFutureRevision);
}

TEST_F(EtcdKv, DeadEndpointsFirst) {
  auto config = cluster_.config();
  config.endpoints.insert(config.endpoints.begin(), {"http://127.0.0.1:1", "http://127.0.0.1:2"});
  EtcdSession session(config);
  auto written = session.put("/tfo/a", "1");
  ASSERT_ANSWER(written);
  EXPECT_EQ(session.client().endpoints().current(), 2U);
  config.endpoints.resize(2);
  EtcdSession nobody(config);
  auto failed = nobody.put("/tfo/a", "2");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, FaultKind::kUnreachable);
  EXPECT_FALSE(etcd::outcome_unknown(failed.error()));
  EXPECT_THAT(failed.error().message, HasSubstr("none of 2 etcd endpoints answers"));
}

TEST_F(EtcdKv, LeaseEndsWhenNobodyBeats) {
  EtcdSession session(cluster_.config());
  constexpr int64_t kOwnId = 4711;
  const auto grant = [&] {
    return session.await<etcd::Lease>([&](auto done) {
      return etcd::lease_grant(session.client(), std::chrono::seconds(2), kOwnId, std::move(done));
    });
  };
  const auto beat = [&](int64_t id) {
    return session.await<std::optional<etcd::Lease>>(
        [&](auto done) { return etcd::lease_keepalive(session.client(), id, std::move(done)); });
  };
  auto lease = grant();
  ASSERT_ANSWER(lease);
  EXPECT_EQ(lease->id, kOwnId);
  EXPECT_GE(lease->ttl.count(), 2);
  auto twice = grant();
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, 9) << twice.error().message;
  auto put = session.await<etcd::PutReply>([&](auto done) {
    return etcd::put(session.client(), {"/tfo/live/a", "here", kOwnId}, std::move(done));
  });
  ASSERT_ANSWER(put);
  auto alive = beat(kOwnId);
  ASSERT_ANSWER(alive);
  ASSERT_TRUE(*alive);
  EXPECT_EQ((*alive)->ttl, lease->ttl);

  EtcdWatchLog log(session,
                   {"/tfo/live/", etcd::prefix_end("/tfo/live/"), put->header.revision + 1});
  ASSERT_TRUE(log.wait(etcd::WatchNotice::Kind::kEvents)) << log.text();
  const auto& event = log.last(etcd::WatchNotice::Kind::kEvents)->events.at(0);
  EXPECT_TRUE(event.deleted);
  EXPECT_EQ(event.kv.key, "/tfo/live/a");
  auto lost = beat(kOwnId);
  ASSERT_ANSWER(lost);
  EXPECT_FALSE(*lost) << "a lease that is gone";
  auto revoked = session.await<etcd::Header>(
      [&](auto done) { return etcd::lease_revoke(session.client(), kOwnId, std::move(done)); });
  ASSERT_FALSE(revoked);
  EXPECT_EQ(revoked.error().kind, FaultKind::kNotFound);
}

TEST_F(EtcdKv, PutInFlightWhenTheLeaderDies) {
  const size_t leader = cluster_.leader(0);
  ASSERT_LT(leader, EtcdCluster::kMembers);
  const size_t follower = (leader + 1) % EtcdCluster::kMembers;
  EtcdSession session(cluster_.config(follower));
  ASSERT_ANSWER(session.put("/tfo/a", "before"));
  cluster_.freeze(leader);  // takes the proposal, and never answers
  std::optional<etcd::Outcome<etcd::PutReply>> outcome;
  const etcd::Call call = etcd::put(session.client(), {"/tfo/a", "during", 0},
                                    [&](auto reply) { outcome.emplace(std::move(reply)); });
  etcd::Range stale;
  stale.key = "/tfo/a";
  stale.serializable = true;
  ASSERT_ANSWER(session.range(stale));  // asked after the put
  cluster_.kill9(leader);
  ASSERT_TRUE(session.until([&] { return outcome.has_value(); }, 20));
  if (!*outcome) {
    EXPECT_TRUE(etcd::outcome_unknown(outcome->error())) << outcome->error().message;
    EXPECT_EQ(outcome->error().code, 14) << outcome->error().message;
    EXPECT_THAT(outcome->error().message, HasSubstr("read again"));
  }
  auto read = session.read("/tfo/a");
  ASSERT_ANSWER(read);
  EXPECT_THAT(read->kvs.at(0).value, testing::AnyOf("before", "during"));
  EXPECT_LE(read->kvs.at(0).version, 2) << "sent twice";
  EXPECT_FALSE(outcome->has_value() && read->kvs.at(0).value == "before");
}

TEST_F(EtcdKv, PutToAFrozenMemberIsNotSentAgain) {
  auto config = cluster_.config();
  config.timeouts.write = milliseconds(700);
  config.timeouts.read = milliseconds(700);
  EtcdSession session(config);
  ASSERT_ANSWER(session.put("/tfo/a", "before"));
  cluster_.freeze(0);
  auto lost = session.put("/tfo/a", "during");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, FaultKind::kNoAnswer);
  EXPECT_TRUE(etcd::outcome_unknown(lost.error()));
  auto read = session.read("/tfo/a");  // another member
  cluster_.thaw(0);
  ASSERT_ANSWER(read);
  EXPECT_EQ(read->kvs.at(0).value, "before");
  // What was sent is done after all, or never: the member may see first that nobody waits for it.
  ASSERT_TRUE(cluster_.wait_member(0)) << cluster_.logs();
  ASSERT_ANSWER(session.put("/tfo/a", "after"));
  auto last = session.read("/tfo/a");
  ASSERT_ANSWER(last);
  EXPECT_LE(last->kvs.at(0).version, 3) << "sent twice";
}

TEST_F(EtcdKv, RestoredFromABackup) {
  EtcdSession session(cluster_.config());
  ASSERT_ANSWER(session.put("/tfo/a", "saved"));
  ASSERT_TRUE(cluster_.save(0, "snapshot"));
  for (int i = 0; i < 5; i++) ASSERT_ANSWER(session.put("/tfo/a", "later"));
  const int64_t before = session.client().revision();
  ASSERT_TRUE(cluster_.restore("snapshot")) << cluster_.logs();
  auto read = session.read("/tfo/a");
  ASSERT_ANSWER(read);
  EXPECT_EQ(read->kvs.at(0).value, "saved");
  EXPECT_EQ(read->continuity.rolled_back_from, before);
  EXPECT_LT(session.client().revision(), before);
  auto again = session.read("/tfo/a");
  ASSERT_ANSWER(again);
  EXPECT_FALSE(again->continuity.broken()) << "reported once";

  // A watch from where we were is deaf, and says so.
  EtcdWatchLog deaf(session, {"/tfo/a", "", before + 1});
  ASSERT_TRUE(deaf.wait(etcd::WatchNotice::Kind::kCreated)) << deaf.text();
  EXPECT_TRUE(deaf.last(etcd::WatchNotice::Kind::kCreated)->behind);
  ASSERT_ANSWER(session.put("/tfo/a", "unheard"));
  ASSERT_TRUE(deaf.wait(etcd::WatchNotice::Kind::kProgress)) << deaf.text();
  EXPECT_TRUE(deaf.last(etcd::WatchNotice::Kind::kProgress)->behind);
  EXPECT_TRUE(deaf.values().empty());
}

TEST_F(EtcdKv, ReadsByPagesWhatIsTooLongForOneReply) {
  EtcdSession session(cluster_.config());
  const size_t small = static_cast<size_t>(etcd::kPage) + 20;
  for (size_t i = 0; i < small; i++) {
    ASSERT_ANSWER(session.put(fmt::format("/tfo/few/{:03}", i), "x"));
  }
  const auto read = [&session](const std::string& prefix) {
    etcd::Range all;
    all.key = prefix;
    all.range_end = etcd::prefix_end(prefix);
    return session.await<etcd::RangeReply>([&](auto callback) {
      return etcd::range_by_pages(session.client(), all, std::move(callback));
    });
  };
  const auto few = read("/tfo/few/");
  ASSERT_ANSWER(few);
  ASSERT_EQ(few->kvs.size(), small);
  EXPECT_EQ(few->kvs.back().key, fmt::format("/tfo/few/{:03}", small - 1));

  const std::string junk(1U << 20U, 'j');
  constexpr size_t kLarge = 20;
  for (size_t i = 0; i < kLarge; i++) {
    ASSERT_ANSWER(session.put(fmt::format("/tfo/junk/{:02}", i), junk));
  }
  const auto large = read("/tfo/junk/");
  ASSERT_ANSWER(large);
  EXPECT_EQ(large->kvs.size(), kLarge);
  EXPECT_EQ(read("/tfo/")->kvs.size(), small + kLarge);
  EXPECT_TRUE(read("/tfo/none/")->kvs.empty());
}

}  // namespace
}  // namespace tfo::test
