// SPDX-License-Identifier: BSD-2-Clause
// Agents of one farm on a real etcd of three members: joining, rotating, asking, leaving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/rotation_farm.h"

namespace tfo::test {
namespace {

using rotation::Request;
using rotation::State;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RotationAgent : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs();
    farm_.policy.deadline = 1;
    farm_.lease = std::chrono::seconds(1);  // a leader mints after two of them
  }
  void start(const std::vector<std::string>& names) {
    ASSERT_EQ(farm_.init(), "");
    for (const auto& name : names) {
      ASSERT_NE(farm_.add(name, {.balancer = name[0] == 'b'}), nullptr) << farm_.error();
    }
    ASSERT_TRUE(farm_.settled()) << farm_.text();
  }
  RotationNode& node(const std::string& name) { return farm_.node(name); }
  bool until_state(const std::string& name, State state) {
    return farm_.until([&] { return node(name).document().state == state; });
  }

  EtcdCluster cluster_;
  RotationFarm farm_{cluster_};
};

TEST_F(RotationAgent, FarmRotatesOnRequestThroughAllStates) {
  start({"b1", "s1", "s2"});
  const auto before = node("s1").document();
  ASSERT_NE(farm_.leader(), nullptr) << farm_.text();
  ASSERT_EQ(farm_.rotate(node("s2")), "");
  const auto& after = node("b1").document();
  EXPECT_EQ(after.other, before.current);
  EXPECT_NE(after.current, before.current);
  for (const char* name : {"b1", "s1", "s2"}) {
    EXPECT_THAT(node(name).states, ElementsAre(State::kSteady, State::kPrepare, State::kStaged,
                                               State::kMinting, State::kSteady));
    EXPECT_GT(node(name).agent->trusted_until(), SystemClock().now().unix_s);
  }
  // Any node tells of all, once it was asked to look.
  node("s2").agent->refresh();
  ASSERT_TRUE(farm_.until([&] { return node("s2").agent->status()["members"].size() == 3; }));
  const auto status = node("s2").agent->status();
  for (const auto& member : status["members"]) {
    EXPECT_EQ(member["acked"], true) << member;
    EXPECT_EQ(member["live"], true) << member;
  }
  EXPECT_THAT(status["waits_for"], IsEmpty());
  EXPECT_EQ(status["leader"], farm_.leader()->name);
  EXPECT_EQ(status["events"].back()["state"], "steady");

  // A request that the farm does not serve is answered.
  Request request;
  request.kind = Request::Kind::kRevoke;
  request.generation = 0x1122334455667788;
  const auto id = node("s1").agent->ask(request);
  ASSERT_TRUE(id) << id.error().message;
  ASSERT_TRUE(farm_.until([&] { return node("s1").asked(*id) == "refused"; })) << farm_.text();
  EXPECT_THAT(node("s1").agent->status()["asked"].back()["why"].get<std::string>(),
              HasSubstr("1122334455667788"));
  EXPECT_TRUE(farm_.until([&] { return farm_.raw("answer/" + *id).empty(); }));
  EXPECT_EQ(farm_.raw("request/" + *id), "");
}

TEST_F(RotationAgent, StragglerHoldsTheRotationAndANewcomerIsWaitedFor) {
  start({"s1", "s2"});
  node("s2").applies = false;
  Request request;
  ASSERT_TRUE(node("s1").agent->ask(request));
  ASSERT_TRUE(until_state("s1", State::kPrepare)) << farm_.text();
  RotationNode* leader = farm_.leader();
  ASSERT_TRUE(farm_.until([&] { return !leader->trouble("rotation_held").empty(); }));
  EXPECT_THAT(leader->trouble("straggler"), HasSubstr("s2"));
  EXPECT_THAT(leader->trouble("rotation_held"), HasSubstr("s2"));

  ASSERT_NE(farm_.add("s3"), nullptr) << farm_.error();
  node("s3").applies = false;
  ASSERT_TRUE(farm_.until([&] { return leader->agent->status()["members"].size() == 3; }));
  node("s2").applies = true;
  node("s2").apply();
  ASSERT_TRUE(farm_.until([&] {
    return leader->agent->status()["waits_for"] == nlohmann::json::array({"s3"});
  })) << farm_.text();
  EXPECT_EQ(node("s1").document().state, State::kPrepare);
  EXPECT_FALSE(node("s3").agent->may_open());
  // What lacks somewhere is no acknowledgement either.
  node("s3").applies = true;
  node("s3").partial = "netns blue: cannot write";
  node("s3").apply();
  ASSERT_TRUE(farm_.until([&] { return !farm_.raw("ack/s3").empty(); }));
  EXPECT_EQ(node("s1").document().state, State::kPrepare);
  EXPECT_FALSE(node("s3").agent->may_open());
  node("s3").partial.clear();
  node("s3").apply();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  EXPECT_EQ(leader->trouble("straggler"), "");
  EXPECT_EQ(leader->trouble("rotation_held"), "");
}

TEST_F(RotationAgent, AbortAndRevoke) {
  start({"s1", "s2"});
  const auto before = node("s1").document();
  node("s2").applies = false;
  ASSERT_TRUE(node("s1").agent->ask(Request{}));
  ASSERT_TRUE(until_state("s2", State::kPrepare)) << farm_.text();
  Request abort;
  abort.kind = Request::Kind::kAbort;
  ASSERT_TRUE(node("s2").agent->ask(abort));
  ASSERT_TRUE(farm_.until([&] { return node("s1").document().aborting; })) << farm_.text();
  node("s2").applies = true;
  node("s2").apply();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  EXPECT_EQ(node("s1").document().current, before.current);

  Request revoke;
  revoke.kind = Request::Kind::kRevoke;
  revoke.generation = before.current;
  ASSERT_TRUE(node("s2").agent->ask(revoke));
  const auto revoked = [&](const char* name) {
    const auto* found = node(name).document().find(before.current);
    return found != nullptr && found->revoked;
  };
  ASSERT_TRUE(farm_.until([&] { return revoked("s1") && revoked("s2"); })) << farm_.text();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  EXPECT_NE(node("s1").document().current, before.current);
}

TEST_F(RotationAgent, ValidatorsKnowWhatServersReport) {
  start({"b1", "s1", "s2"});
  const auto says = [&](const char* name, uint64_t qlen, uint32_t bits) {
    RotationNode& node = this->node(name);
    node.listeners = {{{"netns", "self"},
                       {"fastopen_bits", bits},
                       {"sums",
                        {{"listeners", 2},
                         {"qlen", qlen},
                         {"qlen_least", qlen / 4},
                         {"qlen_unknown", 0},
                         {"backlog", 100},
                         {"fullest_quarters", 1}}}}};
    node.apply();
  };
  const auto known = [&] { return node("b1").agent->reports(); };
  says("s1", 400, 3);
  says("s2", 40, 3);
  ASSERT_TRUE(farm_.until([&] { return known().qlen_sum == 440; })) << farm_.text();
  EXPECT_EQ(known().servers, 2U);
  EXPECT_EQ(known().balancers, 1U);
  EXPECT_EQ(known().listeners, 4U);
  EXPECT_EQ(known().qlen_least, 10U);
  EXPECT_EQ(known().backlog_sum, 200U);
  EXPECT_EQ(known().fullest_quarters, 1U);
  EXPECT_FALSE(known().any_no_cookie_bit);
  EXPECT_GT(known().oldest_at, 0);
  EXPECT_EQ(node("s1").agent->reports(), rotation::FarmReports());
  EXPECT_EQ(node("b1").agent->status()["reports"]["qlen_sum"], 440);
  // What cannot be read lowers nothing, nor do sums that somebody puts back, spoils or takes away.
  const std::string before = farm_.raw("reports");
  ASSERT_TRUE(farm_.write("ack/s1", "garbage"));
  says("s2", 80, 3 | rotation::kNoCookieBit);
  ASSERT_TRUE(farm_.until([&] { return known().qlen_sum == 480; })) << farm_.text();
  EXPECT_TRUE(known().any_no_cookie_bit);
  for (const std::string& value : {before, std::string("garbage"), std::string()}) {
    if (value.empty()) {
      ASSERT_TRUE(farm_.session().txn({{}, {etcd::Delete{farm_.key("reports"), ""}}, {}}));
    } else {
      ASSERT_TRUE(farm_.write("reports", value));
    }
    const auto again = [&] { return farm_.raw("reports") != value; };
    const auto stays = [&] { return known().qlen_sum != 480 || again(); };
    EXPECT_TRUE(farm_.until(stays)) << farm_.text();
    EXPECT_EQ(known().qlen_sum, 480U) << value.size();
  }
  // Who leaves does; a dead one whose word somebody deletes does not.
  std::optional<Result<>> left;
  node("s2").agent->leave([&](Result<> done) { left = std::move(done); });
  ASSERT_TRUE(farm_.until([&] { return known().servers == 1 && known().qlen_sum == 400; }))
      << farm_.text();
  farm_.kill("s2");
  farm_.kill("s1");
  const auto waits_for_it = [&] { return node("b1").agent->status()["waits_for"].dump() != "[]"; };
  ASSERT_TRUE(farm_.until([&] { return node("b1").agent->status()["leading"] == true; }, 20));
  ASSERT_TRUE(farm_.session().txn({{}, {etcd::Delete{farm_.key("ack/s1"), ""}}, {}}));
  ASSERT_TRUE(farm_.until(waits_for_it)) << farm_.text();
  EXPECT_FALSE(farm_.until([&] { return known().qlen_sum != 400; }, 2.5));
}

TEST_F(RotationAgent, LostLeaseIsTakenAnew) {
  start({"s1", "s2"});
  RotationNode* leader = farm_.leader();
  ASSERT_NE(leader, nullptr) << farm_.text();
  const auto live = farm_.session().read(farm_.key("live/" + leader->name));
  ASSERT_TRUE(live && live->kvs.size() == 1);
  const auto lease = live->kvs[0].lease;
  ASSERT_TRUE(farm_.session().post("/v3/kv/lease/revoke", {{"ID", etcd::to_text(lease)}}));
  const auto renewed = [&] {
    const auto now = farm_.session().read(farm_.key("live/" + leader->name));
    return now && now->kvs.size() == 1 && now->kvs[0].lease != lease;
  };
  EXPECT_TRUE(farm_.until(renewed)) << farm_.text();
  ASSERT_TRUE(farm_.until([&] { return !farm_.raw("leader").empty(); }));
  EXPECT_EQ(farm_.rotate(node("s1")), "");
}

TEST_F(RotationAgent, WhoLeavesIsNotWaitedForAndWhoIsForgottenJoinsAgain) {
  start({"s1", "s2", "s3"});
  std::optional<Result<>> left;
  node("s3").agent->leave([&](Result<> done) { left = std::move(done); });
  ASSERT_TRUE(farm_.until([&] { return left.has_value(); }));
  EXPECT_TRUE(*left) << left->error().message;
  EXPECT_FALSE(node("s3").agent->may_open());
  EXPECT_EQ(farm_.raw("member/s3"), "");
  EXPECT_EQ(farm_.raw("live/s3"), "");
  farm_.kill("s3");

  // Frozen for a week, with the state of then.
  farm_.kill("s2");
  ASSERT_TRUE(farm_.until([&] { return farm_.raw("leader") == "s1"; }));
  Request forget;
  forget.kind = Request::Kind::kForget;
  forget.node = "s2";
  forget.off_wire = true;
  ASSERT_TRUE(node("s1").agent->ask(forget));
  ASSERT_TRUE(farm_.until([&] { return node("s1").document().forgotten.contains("s2"); }))
      << farm_.text();
  EXPECT_EQ(farm_.raw("member/s2"), "");
  ASSERT_EQ(farm_.rotate(node("s1")), "");
  ASSERT_EQ(farm_.rotate(node("s1")), "");

  ASSERT_NE(farm_.add("s2"), nullptr) << farm_.error();
  const auto told = [&] { return node("s2").told.contains("not_member"); };
  EXPECT_TRUE(farm_.until(told)) << farm_.text();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  EXPECT_EQ(node("s2").trouble("not_member"), "");
  EXPECT_EQ(node("s2").document().counter, node("s1").document().counter);
  ASSERT_EQ(farm_.rotate(node("s2")), "");
  EXPECT_THAT(node("s1").document().forgotten, IsEmpty());
}

TEST_F(RotationAgent, FarmKeyIsChanged) {
  start({"s1", "s2"});
  const std::string yesterday = farm_.raw("ring");
  const auto path = farm_.directory / "farm.key";
  const Secret line = rotation::FarmKey::new_line(2);
  std::ofstream(path, std::ios::app) << line.str() << '\n';
  const auto can_open = [&](const char* name) {
    const auto lines = node(name).agent->status()["farm_key"]["lines"];
    return lines == nlohmann::json::array({1, 2});
  };
  ASSERT_TRUE(farm_.until([&] { return can_open("s1") && can_open("s2"); }));
  ASSERT_NE(farm_.leader(), nullptr);
  const auto rekeyed = [&] { return farm_.raw("ring").find("\"key\":2") != std::string::npos; };
  std::string id;
  // Refused until the acknowledgements say that everybody can open it.
  ASSERT_TRUE(farm_.until([&] {
    if (rekeyed()) return true;
    if (!id.empty() && node("s1").asked(id) == "pending") return false;
    Request request;
    request.kind = Request::Kind::kRekey;
    request.key = 2;
    id = node("s1").agent->ask(request).value_or("");
    return false;
  })) << farm_.text();
  std::ofstream(path) << line.str() << '\n';
  const auto sealed_anew = [&](const std::string& name) {
    return farm_.raw(name).find("\"key\":2") != std::string::npos;
  };
  for (const char* name : {"member/s1", "member/s2", "ack/s1", "ack/s2"}) {
    EXPECT_TRUE(farm_.until([&] { return sealed_anew(name); })) << name << farm_.text();
  }
  ASSERT_TRUE(farm_.restart(node("s2"))) << farm_.error();
  EXPECT_EQ(farm_.rotate(node("s2")), "");
  // What was sealed under the line that was given up is old, and no reason to ask for that line.
  const std::string genuine = farm_.raw("ring");
  ASSERT_TRUE(farm_.write("ring", yesterday));
  EXPECT_TRUE(farm_.until([&] { return farm_.raw("ring") == genuine; })) << farm_.text();
  EXPECT_FALSE(node("s1").told.contains("farm_key_missing"));
  // What names a line to come may be genuine; once ours is back it is forgotten.
  auto forged = nlohmann::json::parse(genuine);
  forged["key"] = 99;
  ASSERT_TRUE(farm_.write("ring", forged.dump()));
  const auto missing = [&] { return !node("s1").trouble("farm_key_missing").empty(); };
  EXPECT_TRUE(farm_.until(missing)) << farm_.text();
  ASSERT_TRUE(farm_.write("ring", genuine));
  EXPECT_TRUE(farm_.until([&] { return !missing(); })) << farm_.text();
}

TEST_F(RotationAgent, FirstStartTakesTheDocumentOrSaysWhatToDo) {
  rotation::Settings settings = farm_.settings("s1", {});
  const SystemClock clock;
  const auto none = rotation::fetch_first(settings, clock, std::chrono::seconds(3));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("tfoctl farm init"));
  ASSERT_EQ(farm_.init(), "");
  const auto some = rotation::fetch_first(settings, clock, std::chrono::seconds(3));
  ASSERT_TRUE(some) << some.error().message;
  settings.etcd.endpoints = {"http://127.0.0.1:1"};
  const auto again = rotation::fetch_first(settings, clock, std::chrono::seconds(1));
  EXPECT_TRUE(again) << again.error().message;
  settings.state_file += "2";
  const auto unreachable = rotation::fetch_first(settings, clock, std::chrono::seconds(1));
  ASSERT_FALSE(unreachable);
  EXPECT_THAT(unreachable.error().message, HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace tfo::test
