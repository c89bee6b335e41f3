// SPDX-License-Identifier: BSD-2-Clause
// The commands about a farm that shares a pool, against a tfod that answers what the test wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/fake_daemon.h"
#include "tests/support/farm_script.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class TfoctlFarm : public testing::Test {
 protected:
  void SetUp() override {
    daemon_.answer(
        "keys",
        {{"pools", {{{"name", "web"}, {"store", "etcd"}}, {{"name", "old"}, {"store", "file"}}}}});
    daemon_.answer("farm-request", {{"pool", "web"}, {"request", kAskedId}});
    daemon_.answer("farm-status", FarmScript());
  }
  void served(const std::string& kind, const std::string& state = "served",
              const std::string& why = "") {
    daemon_.answer("farm-status", FarmScript().asked(kind, state, why));
  }

  FakeDaemon daemon_;
};

TEST_F(TfoctlFarm, NodesAndWhatTheyHold) {
  FarmScript farm;
  farm.lag({"s2"});
  farm.document()["members"][1]["partial"] = "netns blue: drift";
  daemon_.answer("farm-status", farm);
  const Ran ran = daemon_.run({"node", "list"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("farm edge, pool web: steady, document 1700000000.5, 2 of 3 hold "
                                 "it; rotator s1"));
  EXPECT_THAT(ran.out, HasSubstr("lb1   balancer  yes "));
  EXPECT_THAT(ran.out, HasSubstr("this node"));
  EXPECT_THAT(ran.out, HasSubstr("netns blue: drift"));
  EXPECT_THAT(ran.out, HasSubstr("no, since 2023-11-14 22:14:10Z  1700000000.4"));
  EXPECT_EQ(json::parse(daemon_.run({"node", "list", "web", "-j"}).out), json(farm));
}

TEST_F(TfoctlFarm, NodesAreReadAnew) {
  FarmScript stale;
  daemon_.answers("farm-status",
                  {stale.put("roster_at", 1), stale, FarmScript().set("staged", 6, kOldKey)});
  const Ran ran = daemon_.run({"node", "list"});
  EXPECT_THAT(ran.out, HasSubstr("staged"));
  EXPECT_EQ(ran.err, "");
  EXPECT_GE(daemon_.count("farm-status"), 3U);
  // Whoever leads follows the members anyway.
  daemon_.answer("farm-status", FarmScript().put("roster_at", 1).put("leading", true));
  EXPECT_EQ(daemon_.run({"node", "list"}).err, "");
  FarmScript alone;
  alone.put("roster_at", 1700000000000).put("connected", false).put("leader", "");
  daemon_.answer("farm-status", alone);
  const Ran cut = daemon_.run({"node", "list"});
  EXPECT_EQ(cut.code, 0);
  EXPECT_THAT(cut.err, HasSubstr("no etcd just now; what follows is of 2023-11-14 22:13:20Z"));
  EXPECT_THAT(cut.out, HasSubstr("rotator none"));
}

TEST_F(TfoctlFarm, TheSharedPoolIsMeantIfThereIsOne) {
  EXPECT_EQ(daemon_.run({"key", "history"}).code, 0);
  EXPECT_EQ(daemon_.request("farm-status")["pool"], "web");
  const Ran other = daemon_.run({"key", "history", "old"});
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("pool old is not shared through etcd"));
  EXPECT_THAT(daemon_.run({"key", "history", "none"}).err, HasSubstr("no pool is named 'none'"));
  daemon_.answer("keys", {{"pools", {{{"name", "old"}, {"store", "file"}}}}});
  EXPECT_THAT(daemon_.run({"node", "list"}).err, HasSubstr("no pool of this tfod is shared"));
  daemon_.answer(
      "keys",
      {{"pools", {{{"name", "web"}, {"store", "etcd"}}, {{"name", "api"}, {"store", "etcd"}}}}});
  EXPECT_THAT(daemon_.run({"key", "abort"}).err, HasSubstr("Name one of: web api"));
}

TEST_F(TfoctlFarm, History) {
  const json events = {{{"at", 1700000000},
                        {"counter", "1700000000.1"},
                        {"state", "steady"},
                        {"what", "the farm was made"},
                        {"by", "lb1"}}};
  daemon_.answer("farm-status", FarmScript().put("events", events));
  const Ran ran = daemon_.run({"key", "history"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("2023-11-14 22:13:20Z  1700000000.1  steady  lb1  the farm was"));
  EXPECT_EQ(json::parse(daemon_.run({"-j", "key", "history"}).out),
            (json{{"pool", "web"}, {"events", events}}));
  daemon_.answer("farm-status", FarmScript());
  EXPECT_THAT(daemon_.run({"key", "history"}).out, HasSubstr("nothing has happened yet"));
}

TEST_F(TfoctlFarm, RevokeByIdOrFingerprint) {
  served("revoke");
  const Ran ran = daemon_.run({"key", "revoke", "11aa11aa", "web"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1111111111111111 is revoked"));
  EXPECT_EQ(daemon_.request("farm-request")["generation"], kOldKey);
  EXPECT_EQ(daemon_.request("farm-request")["gentle"], false);
  EXPECT_EQ(daemon_.run({"key", "revoke", kOldKey, "--gentle"}).code, 0);
  EXPECT_EQ(daemon_.request("farm-request")["gentle"], true);
  const Ran none = daemon_.run({"key", "revoke", "deadbeefdeadbeef"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("there are 1111111111111111 (fingerprint 11aa11aa)"));
  const std::string key = "00112233-44556677-8899aabb-ccddeeff";
  EXPECT_THAT(daemon_.run({"key", "revoke", key}).err, Not(HasSubstr("44556677")));
  EXPECT_EQ(daemon_.count("farm-request"), 2U);
}

TEST_F(TfoctlFarm, WhatTheRotatorSays) {
  served("revoke", "refused", "it is the only key");
  const Ran refused = daemon_.run({"key", "revoke", kOldKey});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("the rotator refused it: it is the only key"));
  EXPECT_EQ(refused.out, "");
  EXPECT_EQ(json::parse(daemon_.run({"-j", "key", "revoke", kOldKey}).out)["state"], "refused");
  served("revoke", "failed", "etcd says no");
  EXPECT_EQ(daemon_.run({"key", "revoke", kOldKey}).code, 2);
  daemon_.raw("farm-request", "");
  const Ran unknown = daemon_.run({"key", "revoke", kOldKey});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("tfoctl does not ask twice"));
}

TEST_F(TfoctlFarm, RotateWithoutWaitingHearsTheRotator) {
  daemon_.answer("key-rotate", {{"pool", "web"}, {"request", kAskedId}});
  served("rotate");
  const Ran ran = daemon_.run({"key", "rotate", "web"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("rotation begun; `tfoctl node list` tells"));
  served("rotate", "refused", "a rotation is under way");
  EXPECT_EQ(daemon_.run({"key", "rotate", "web"}).code, 1);
}

TEST_F(TfoctlFarm, AbortOnlyWhatIsUnderWay) {
  const Ran idle = daemon_.run({"key", "abort"});
  EXPECT_EQ(idle.code, 1);
  EXPECT_THAT(idle.err, HasSubstr("nothing to abort"));
  EXPECT_EQ(daemon_.count("farm-request"), 0U);
  daemon_.answer("farm-status", FarmScript().set("staged", 6, kOldKey).asked("abort", "served"));
  EXPECT_EQ(daemon_.run({"key", "abort"}).code, 0);
  EXPECT_EQ(daemon_.request("farm-request")["kind"], "abort");
}

TEST_F(TfoctlFarm, ForgetAMember) {
  served("forget");
  EXPECT_EQ(daemon_.run({"node", "forget", "s2", "web"}).code, 0);
  EXPECT_EQ(daemon_.request("farm-request")["node"], "s2");
  EXPECT_EQ(daemon_.request("farm-request")["off_wire"], false);
  EXPECT_EQ(daemon_.run({"node", "forget", "lb1", "--off-wire"}).code, 0);
  EXPECT_EQ(daemon_.request("farm-request")["off_wire"], true);
  const Ran none = daemon_.run({"node", "forget", "s9"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("no member 's9'; there are: lb1 s1 s2"));
}

TEST_F(TfoctlFarm, RekeyNeedsANewerLine) {
  const Ran ran = daemon_.run({"farm", "rekey"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("`tfoctl farm new-line`"));
  served("rekey");
  EXPECT_EQ(daemon_.run({"farm", "rekey", "--revoke-all"}).code, 0);
  EXPECT_EQ(daemon_.request("farm-request")["revoke_all"], true);
  EXPECT_EQ(daemon_.request("farm-request")["key"], 1);
}

TEST_F(TfoctlFarm, AdoptNamesBoth) {
  const json reply = {{"pool", "web"},
                      {"adopted", {{"counter", "1.2"}, {"hash", "00aa"}}},
                      {"given_up", {{"counter", "1.9"}, {"hash", "00bb"}}}};
  daemon_.answer("farm-adopt", reply);
  const Ran ran = daemon_.run({"farm", "adopt"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("adopted document 1.2 (hash 00aa) from etcd; given up 1.9 (hash"));
  EXPECT_EQ(json::parse(daemon_.run({"-j", "farm", "adopt"}).out), reply);
}

TEST_F(TfoctlFarm, TextFromOtherNodesCannotRewriteTheTerminal) {
  FarmScript farm;
  farm.document()["members"][0]["node"] = "lb\033[2J";
  farm.put("leader", "s\033]0;x\007").put("held", "\033[31m");
  farm.put("events", {{{"at", 1}, {"what", "\033[2J"}}});
  daemon_.answer("farm-status", farm.asked("revoke", "refused", "\033[2J"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"node", "list"}, {"key", "history"}, {"key", "revoke", kOldKey}}) {
    const Ran ran = daemon_.run(words);
    EXPECT_EQ((ran.out + ran.err).find('\033'), std::string::npos) << words[1];
  }
}

}  // namespace
}  // namespace tfo::test
