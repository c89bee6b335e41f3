// SPDX-License-Identifier: BSD-2-Clause
// Agents of one farm while etcd's members die, freeze and lose their quorum, and while two of them
// believe that they lead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "tests/support/rotation_farm.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

using rotation::Request;
using rotation::State;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// A leader mints after two of them, a node that boots without etcd opens after four.
constexpr std::chrono::seconds kShort{2};

class RotationFaults : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs();
    ASSERT_EQ(farm_.init(), "");
  }
  void start(const std::vector<std::string>& names, bool own_loop = false) {
    for (const auto& name : names) {
      ASSERT_NE(farm_.add(name, {.balancer = name[0] == 'b', .own_loop = own_loop}), nullptr)
          << farm_.error();
    }
    ASSERT_TRUE(farm_.settled()) << farm_.text();
  }
  RotationNode& node(const std::string& name) { return farm_.node(name); }

  EtcdCluster cluster_;
  RotationFarm farm_{cluster_};
};

TEST_F(RotationFaults, EtcdLeaderIsKilledMidRotation) {
  start({"b1", "s1", "s2"});
  node("s2").applies = false;
  ASSERT_TRUE(node("s1").agent->ask(Request{}));
  ASSERT_TRUE(farm_.until([&] { return node("s2").document().state == State::kPrepare; }))
      << farm_.text();
  const size_t leader = cluster_.leader(0);
  ASSERT_LT(leader, EtcdCluster::kMembers);
  cluster_.kill9(leader);
  node("s2").applies = true;
  node("s2").apply();
  ASSERT_TRUE(farm_.settled(State::kSteady, 25)) << farm_.text();
  EXPECT_THAT(node("s1").document().generations, SizeIs(2));
  EXPECT_THAT(node("b1").states, ElementsAre(State::kSteady, State::kPrepare, State::kStaged,
                                             State::kMinting, State::kSteady));
}

TEST_F(RotationFaults, WriteOfUnknownOutcomeMintsOnce) {
  farm_.policy.interval = 9;
  farm_.policy.not_after = 60;
  start({"s1", "s2", "s3"});
  const auto before = node("s1").document();
  // etcd takes the request of the rotation that is due, and does not answer before the leader has
  // given it up.
  const int64_t due = before.rotated_at + farm_.policy.interval;
  const SystemClock clock;
  const auto now_ms = [&] { return clock.now().unix_s * 1000 + clock.now().unix_ns / 1'000'000; };
  ASSERT_LT(now_ms(), due * 1000 - 200) << "too slow a start";
  RotationNode* leader = farm_.leader();
  ASSERT_NE(leader, nullptr);
  ASSERT_TRUE(farm_.until([&] { return now_ms() > due * 1000 - 150; }, 20));
  testing::internal::CaptureStdout();
  for (size_t i = 0; i < EtcdCluster::kMembers; i++) cluster_.freeze(i);
  farm_.until([&] { return now_ms() > due * 1000 + 1300; }, 20);
  for (size_t i = 0; i < EtcdCluster::kMembers; i++) cluster_.thaw(i);
  const auto complete = [&] {
    return farm_.settled(State::kSteady, 0) && node("s1").document().current != before.current;
  };
  EXPECT_TRUE(farm_.until(complete, 25)) << farm_.text();
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("txn"));
  EXPECT_THAT(node("s1").document().generations, SizeIs(before.generations.size() + 1));
  EXPECT_EQ(node("s1").document().other, before.current);
}

TEST_F(RotationFaults, QuorumLostAndBack) {
  farm_.lease = kShort;
  start({"s1", "s2"});
  const auto counter = node("s1").document().counter;
  const int64_t trusted = node("s1").agent->trusted_until();
  cluster_.freeze(0);
  cluster_.freeze(1);
  const auto unreachable = [&](const char* name) {
    return !node(name).trouble("store_unreachable").empty();
  };
  ASSERT_TRUE(farm_.until([&] { return unreachable("s1") && unreachable("s2"); }, 30));
  EXPECT_EQ(node("s1").document().counter, counter);
  EXPECT_TRUE(node("s1").agent->may_open());
  // The fence: nothing was confirmed any more.
  EXPECT_LE(node("s1").agent->trusted_until(), trusted + 5);
  // A node that boots now opens after a while with what it knew, and is trusted with nothing.
  ASSERT_TRUE(farm_.restart(node("s2"))) << farm_.error();
  EXPECT_FALSE(node("s2").agent->may_open());
  EXPECT_TRUE(farm_.until([&] { return node("s2").agent->may_open(); }, 30)) << farm_.text();
  EXPECT_EQ(node("s2").agent->trusted_until(), 0);
  cluster_.thaw(0);
  cluster_.thaw(1);
  const auto back = [&] { return !unreachable("s1") && !unreachable("s2"); };
  ASSERT_TRUE(farm_.until(back, 30)) << farm_.text();
  ASSERT_TRUE(farm_.settled(State::kSteady, 30)) << farm_.text();
  EXPECT_GT(node("s1").agent->trusted_until(), trusted);
  EXPECT_EQ(farm_.rotate(node("s2")), "");
}

TEST_F(RotationFaults, TwoThatBelieveThatTheyLead) {
  farm_.lease = kShort;
  start({"s1", "s2", "s3"}, true);
  RotationNode* old = farm_.leader();
  ASSERT_NE(old, nullptr) << farm_.text();
  RotationNode& other = node(old->name == "s1" ? "s2" : "s1");
  // The leader stops right before it would write the second document of a rotation.
  other.applies = false;
  ASSERT_TRUE(other.agent->ask(Request{}));
  const auto promised = [&] {
    return std::ranges::any_of(old->agent->status()["members"], [&](const auto& member) {
      return member["node"] == old->name && member["acked"] == true;
    });
  };
  ASSERT_TRUE(farm_.until([&] { return other.document().state == State::kPrepare && promised(); }))
      << farm_.text();
  old->frozen = true;
  other.applies = true;
  other.apply();
  const auto led = [&] { return farm_.leader(0) != nullptr; };
  ASSERT_TRUE(farm_.until(led)) << farm_.text();
  EXPECT_NE(farm_.leader(0)->name, old->name);
  // The new one goes on only as far as the frozen one has promised.
  ASSERT_TRUE(farm_.until([&] { return other.document().state == State::kStaged; }))
      << farm_.text();
  old->frozen = false;
  EXPECT_TRUE(old->agent->status()["leading"]);
  ASSERT_TRUE(farm_.settled(State::kSteady, 20)) << farm_.text();
  EXPECT_FALSE(old->agent->status()["leading"]);
  for (const char* name : {"s1", "s2", "s3"}) {
    EXPECT_THAT(node(name).document().generations, SizeIs(2));
    EXPECT_EQ(node(name).trouble("fork"), "");
    EXPECT_TRUE(std::ranges::is_sorted(node(name).counters));
  }
}

TEST_F(RotationFaults, PartitionedNodeIsForgottenAndComesBack) {
  farm_.lease = kShort;
  start({"s1", "s2"});
  // Reaches one member of etcd only.
  ASSERT_NE(farm_.add("s3", {.only_member = 2}), nullptr) << farm_.error();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  cluster_.freeze(2);
  const auto cut_off = [&] { return !node("s3").trouble("store_unreachable").empty(); };
  ASSERT_TRUE(farm_.until(cut_off, 20)) << farm_.text();
  Request forget;
  forget.kind = Request::Kind::kForget;
  forget.node = "s3";
  forget.off_wire = true;
  ASSERT_TRUE(node("s1").agent->ask(forget));
  ASSERT_TRUE(farm_.until([&] { return node("s1").document().forgotten.contains("s3"); }, 20))
      << farm_.text();
  ASSERT_TRUE(node("s1").agent->ask(Request{}));
  const auto rotated = [&] { return node("s2").document().generations.size() == 2; };
  ASSERT_TRUE(farm_.until(rotated)) << farm_.text();
  ASSERT_TRUE(farm_.until([&] { return node("s2").document().state == State::kSteady; }));
  EXPECT_THAT(node("s3").document().generations, SizeIs(1));
  // What its watch has missed is gone from etcd's history.
  const auto now = farm_.session().read(farm_.key("ring"));
  ASSERT_TRUE(now) << now.error().message;
  ASSERT_TRUE(farm_.session().post("/v3/kv/compaction",
                                   {{"revision", etcd::to_text(now->header.revision)}}));
  cluster_.thaw(2);
  ASSERT_TRUE(farm_.until([&] { return node("s3").told.contains("not_member"); }, 20))
      << farm_.text();
  ASSERT_TRUE(farm_.settled(State::kSteady, 20)) << farm_.text();
  EXPECT_EQ(node("s3").trouble("not_member"), "");
  EXPECT_EQ(node("s3").trouble("store_unreachable"), "");
  EXPECT_EQ(farm_.rotate(node("s3")), "");
}

TEST_F(RotationFaults, LeaderWithAWrongClockResigns) {
  farm_.lease = kShort;
  start({"s1", "s2", "s3"});
  RotationNode* leader = farm_.leader();
  leader->clock->shift = -3600;
  // Acknowledgements that arrive now tell it.
  for (const char* name : {"s1", "s2", "s3"}) {
    node(name).partial = "netns blue: drift";
    node(name).apply();
  }
  EXPECT_TRUE(farm_.until([&] { return !leader->trouble("clock_off").empty(); })) << farm_.text();
  EXPECT_TRUE(farm_.until([&] {
    const RotationNode* now = farm_.leader(0);
    return now != nullptr && now != leader;
  })) << farm_.text();
}

TEST_F(RotationFaults, ClockThatIsAheadIsContradictedBeforeItIsActedOn) {
  farm_.policy.interval = 600;
  farm_.policy.not_after = 1800;
  start({"s1", "s2", "s3"});
  const auto before = node("s1").document();
  RotationNode* leader = farm_.leader();
  ASSERT_NE(leader, nullptr) << farm_.text();
  // A new leader is told the clocks of the others again, without any other reason to write.
  leader->clock->shift = 100'000;
  ASSERT_TRUE(farm_.restart(*leader)) << farm_.error();
  const auto resigned = [&] {
    const RotationNode* now = farm_.leader(0);
    return leader->told.contains("clock_off") || (now != nullptr && now != leader);
  };
  EXPECT_TRUE(farm_.until(resigned, 20)) << farm_.text();
  EXPECT_TRUE(farm_.settled(State::kSteady, 20)) << farm_.text();
  EXPECT_EQ(node("s1").document().counter, before.counter) << farm_.text();
}

TEST_F(RotationFaults, RevocationThatEtcdLostIsAskedForAgain) {
  start({"s1", "s2"});
  ASSERT_EQ(farm_.rotate(node("s1")), "");
  const auto known = node("s1").document();
  ASSERT_TRUE(cluster_.save(0, "before"));
  Request revoke;
  revoke.kind = Request::Kind::kRevoke;
  revoke.generation = known.other;
  ASSERT_TRUE(node("s1").agent->ask(revoke));
  const auto revoked = [&](const char* name) {
    const auto* found = node(name).document().find(known.other);
    return found != nullptr && found->revoked;
  };
  ASSERT_TRUE(farm_.until([&] { return revoked("s1") && revoked("s2"); })) << farm_.text();
  // Both are away, and the farm goes on from the backup with others, past the revocation.
  farm_.kill("s1");
  farm_.kill("s2");
  ASSERT_TRUE(cluster_.restore("before"));
  const auto counter = [&] {
    auto document = farm_.document();
    return document ? document->counter.sequence : 0;
  };
  ASSERT_NE(counter(), 0U);
  rotation::Document restored = *farm_.document();
  restored.counter.sequence += 10;
  ASSERT_TRUE(
      farm_.write("ring", farm_.seal("ring", restored.counter, rotation::encode(restored))));
  RotationNode* back = farm_.add("s1");
  ASSERT_NE(back, nullptr) << farm_.error();
  ASSERT_TRUE(farm_.until([&] { return !back->agent->lost().empty(); })) << farm_.text();
  EXPECT_THAT(back->trouble("revocation_lost"), HasSubstr(id_text(known.other)));
  const auto again = [&] { return revoked("s1") && back->agent->lost().empty(); };
  ASSERT_TRUE(farm_.until(again, 30)) << farm_.text();
  EXPECT_EQ(back->trouble("revocation_lost"), "");
}

TEST_F(RotationFaults, TwoNodesOfOneName) {
  start({"s1", "s2"});
  EXPECT_EQ(node("s2").trouble("name_taken"), "");
  rotation::Settings twin = farm_.settings("s2", {});
  twin.state_file = farm_.directory / "twin" / "web.rotation";
  RotationNode* other = farm_.add_with("twin", twin);
  ASSERT_NE(other, nullptr) << farm_.error();
  const auto told = [&] {
    return !node("s2").trouble("name_taken").empty() && !other->trouble("name_taken").empty();
  };
  EXPECT_TRUE(farm_.until(told, 25)) << farm_.text();
  farm_.kill("twin");
  EXPECT_TRUE(farm_.until([&] { return node("s2").trouble("name_taken").empty(); }, 25));
}

TEST_F(RotationFaults, DeletedRecordsHoldNobodyOutAndComeBack) {
  start({"s1", "s2"});
  RotationNode* leader = farm_.leader();
  ASSERT_NE(leader, nullptr) << farm_.text();
  RotationNode& other = node(leader->name == "s1" ? "s2" : "s1");
  const auto gone = [&](const std::string& name) {
    return farm_.session()
        .post("/v3/kv/deleterange", {{"key", etcd::to_base64(farm_.key(name))}})
        .has_value();
  };
  ASSERT_TRUE(gone("live/" + other.name));
  EXPECT_TRUE(farm_.until([&] { return !farm_.raw("live/" + other.name).empty(); }));
  other.applies = false;
  ASSERT_TRUE(leader->agent->ask(Request{}));
  ASSERT_TRUE(farm_.until([&] { return other.document().state == State::kPrepare; }));
  const std::string name = other.name;
  farm_.kill(name);
  ASSERT_TRUE(gone("member/" + name));
  ASSERT_TRUE(gone("ack/" + name));
  // Nobody has said that it is no member any more: the rotation waits for it.
  ASSERT_TRUE(farm_.until([&] { return !leader->trouble("straggler").empty(); }, 20));
  EXPECT_THAT(leader->trouble("straggler"), HasSubstr(name));
  EXPECT_EQ(leader->document().state, State::kPrepare);
  ASSERT_NE(farm_.add(name), nullptr) << farm_.error();
  EXPECT_TRUE(farm_.settled(State::kSteady, 20)) << farm_.text();
}

TEST_F(RotationFaults, EtcdRestoredFromYesterdaysBackup) {
  farm_.lease = kShort;
  start({"s1", "s2"});
  ASSERT_TRUE(cluster_.save(0, "yesterday"));
  ASSERT_EQ(farm_.rotate(node("s1")), "");
  const auto counter = node("s1").document().counter;
  ASSERT_TRUE(cluster_.restore("yesterday")) << cluster_.logs();
  const auto told = [&] {
    return !node("s1").trouble("store_rolled_back").empty() &&
           !node("s2").trouble("store_rolled_back").empty();
  };
  ASSERT_TRUE(farm_.until(told, 30)) << farm_.text();
  ASSERT_TRUE(farm_.settled(State::kSteady, 30)) << farm_.text();
  EXPECT_EQ(node("s1").document().counter, counter);
  // One of them puts it back, within a second; they may have settled before.
  const auto back = [&] {
    const auto document = farm_.document();
    return document && document->counter == counter;
  };
  EXPECT_TRUE(farm_.until(back, 10)) << farm_.text();
  EXPECT_EQ(farm_.rotate(node("s2")), "");
}

}  // namespace
}  // namespace tfo::test
