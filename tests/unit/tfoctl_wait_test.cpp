// SPDX-License-Identifier: BSD-2-Clause
// `key rotate --wait` and `farm rekey --wait` against a tfod that plays a farm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "tests/support/fake_daemon.h"
#include "tests/support/farm_script.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

class TfoctlWait : public testing::Test {
 protected:
  void SetUp() override {
    daemon_.answer("keys", {{"pools", {{{"name", "web"}, {"store", "etcd"}}}}});
    daemon_.answer("key-rotate", {{"pool", "web"}, {"request", kAskedId}});
    daemon_.answer("farm-request", {{"pool", "web"}, {"request", kAskedId}});
  }
  /// The farm goes through these, a step at each look.
  Ran rotate(std::vector<json> steps, const Words& more = {}) {
    steps.insert(steps.begin(), FarmScript());
    daemon_.answers("farm-status", std::move(steps));
    Words words = {"key", "rotate", "web", "--wait"};
    words.insert(words.end(), more.begin(), more.end());
    return daemon_.run(words);
  }

  FakeDaemon daemon_;
  const FarmScript pending_ = FarmScript().asked("rotate", "pending");
  const FarmScript prepare_ =
      FarmScript().set("prepare", 6, kOldKey).lag({"s1", "s2"}).asked("rotate", "served");
  const FarmScript staged_ = FarmScript().set("staged", 7, kOldKey).asked("rotate", "served");
  const FarmScript done_ = FarmScript().set("steady", 9, kNewKey).asked("rotate", "served");
};

TEST_F(TfoctlWait, CompleteWhenSteadyWithANewKeyThatAllHold) {
  FarmScript almost = done_;
  almost.lag({"s2"});
  const Ran ran = rotate({pending_, prepare_, staged_, almost, done_});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("current 22bb22bb, acknowledged by all 3 members"));
  EXPECT_THAT(ran.err, HasSubstr("waiting for the rotator s1"));
  EXPECT_THAT(ran.err, HasSubstr("pool web: prepare, 1 of 3 acknowledged"));
  EXPECT_THAT(ran.err, HasSubstr("pool web: staged, 3 of 3 acknowledged"));
  EXPECT_THAT(ran.err, HasSubstr("pool web: steady: s2 (server) acknowledged"));
  EXPECT_THAT(ran.err, Not(HasSubstr("\033")));
  EXPECT_EQ(daemon_.count("key-rotate"), 1U);
}

TEST_F(TfoctlWait, StepsBetweenTwoLooksAreTold) {
  FarmScript done = done_;
  const json old = {{"counter", "1700000000.5"}, {"state", "steady"}, {"what", "long ago"}};
  const json staged = {
      {"counter", "1700000000.7"}, {"state", "staged"}, {"what", "rotation"}, {"by", "s1"}};
  const Ran ran = rotate({done.put("events", {old, staged})});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("pool web: staged: rotation (s1)\n"));
  EXPECT_THAT(ran.err, Not(HasSubstr("long ago")));
}

TEST_F(TfoctlWait, OneDocumentHoweverItEnds) {
  const Ran good = rotate({done_}, {"-j"});
  EXPECT_EQ(good.code, 0);
  EXPECT_EQ(json::parse(good.out)["outcome"], "complete");
  const Ran bad = rotate({prepare_}, {"-j", "--timeout", "0.5"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_EQ(json::parse(bad.out)["outcome"], "timeout");
  EXPECT_EQ(json::parse(bad.out)["waits_for"], (json{"s1", "s2"}));
}

TEST_F(TfoctlWait, AnOlderRotationThatEndsIsNotTakenForThisOne) {
  // Under way already, its new key is known before ours is asked for, and ours is refused.
  const FarmScript minting = FarmScript().set("minting", 4, kOldKey);
  daemon_.answers("farm-status",
                  {minting, FarmScript().set("steady", 5, kNewKey).asked("rotate", "served"),
                   FarmScript()
                       .set("steady", 5, kNewKey)
                       .asked("rotate", "refused", "a rotation was under way")});
  const Ran ran = daemon_.run({"key", "rotate", "--wait"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("the rotator refused it: a rotation was under way"));
  EXPECT_EQ(ran.out, "");
}

TEST_F(TfoctlWait, StragglersAreNamedWhenTheTimeIsUp) {
  FarmScript partial = prepare_;
  partial.document()["members"][1]["partial"] = "netns blue: not read back";
  const Ran ran = rotate({partial}, {"--timeout", "0.5"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("not complete after 0.5 s"));
  EXPECT_THAT(ran.err, HasSubstr("s1 (server) has not acknowledged for"));
  EXPECT_THAT(ran.err, HasSubstr("netns blue: not read back"));
  EXPECT_THAT(ran.err, HasSubstr("last seen 2023-11-14 22:14:10Z"));
  EXPECT_EQ(daemon_.count("key-rotate"), 1U);
}

TEST_F(TfoctlWait, NobodyTakesIt) {
  FarmScript leaderless = pending_;
  const Ran ran = rotate({leaderless.put("leader", "")}, {"--timeout", "0.5"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("no node leads the farm just now"));
  FarmScript cut = pending_;
  EXPECT_THAT(rotate({cut.put("connected", false)}, {"--timeout", "0.5"}).err,
              HasSubstr("this tfod has no etcd just now"));
}

TEST_F(TfoctlWait, HeldPastTheDeadline) {
  FarmScript held = FarmScript().set("staged", 7, kOldKey).lag({"s2"}).asked("rotate", "served");
  const Ran ran = rotate({held.put("held", "s2 has not acknowledged within 60 s")});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("it is held: s2 has not acknowledged within 60 s"));
  EXPECT_THAT(ran.err, HasSubstr("`tfoctl key abort`"));
}

TEST_F(TfoctlWait, TakenBack) {
  const FarmScript back = FarmScript().set("steady", 8, kOldKey).asked("rotate", "served");
  EXPECT_THAT(rotate({prepare_, back}).err, HasSubstr("it was taken back"));
  // So fast that only the history shows it.
  FarmScript quick = back;
  quick.put("events", {{{"at", 1}, {"counter", "1700000000.6"}, {"state", "prepare"}}});
  const Ran ran = rotate({quick});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("it was taken back"));
}

TEST_F(TfoctlWait, WhatCannotBeAskedIsAFailure) {
  const Ran ran = rotate({FarmScript().asked("rotate", "failed", "etcd says no")});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("it could not be asked: etcd says no"));
  daemon_.refuse("key-rotate", "the pool is not ready");
  const Ran refused = rotate({prepare_});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("the pool is not ready"));
}

TEST_F(TfoctlWait, UnknownOutcomeIsLookedUpAndNeverAskedAgain) {
  daemon_.raw("key-rotate", "");
  FarmScript before;
  before.asked("rotate", "served", "", "9999999999999999");
  const Ran taken = rotate({before, prepare_, done_});
  EXPECT_EQ(taken.code, 0) << taken.err;
  EXPECT_EQ(daemon_.count("key-rotate"), 1U);
}

TEST_F(TfoctlWait, UnknownOutcomeThatStaysSo) {
  daemon_.raw("key-rotate", "");
  // The one that was there before is somebody else's.
  const FarmScript other = FarmScript().asked("rotate", "served", "", "9999999999999999");
  daemon_.answer("farm-status", other);
  const Ran ran = daemon_.run({"key", "rotate", "web", "--wait"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("tfoctl does not ask twice"));
  EXPECT_EQ(daemon_.count("key-rotate"), 1U);
}

TEST_F(TfoctlWait, TfodAwayForAWhile) {
  const auto looks = std::make_shared<int>(0);
  daemon_.ask("farm-status", [this, looks](const json&) {
    const int look = ++*looks;
    if (look == 1) return FakeDaemon::good(FarmScript());
    return look < 5 ? std::string() : FakeDaemon::good(done_);
  });
  const Ran ran = daemon_.run({"key", "rotate", "web", "--wait"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("the farm goes on without it"));
}

TEST_F(TfoctlWait, InterruptedItGoesOn) {
  const pthread_t self = pthread_self();
  const auto looks = std::make_shared<int>(0);
  daemon_.ask("farm-status", [this, looks, self](const json&) {
    if (++*looks == 3) pthread_kill(self, SIGINT);
    return FakeDaemon::good(*looks == 1 ? FarmScript() : prepare_);
  });
  const Ran ran = daemon_.run({"key", "rotate", "web", "--wait"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("what was asked goes on in the farm"));
}

TEST_F(TfoctlWait, OtherStoresRotateAsEver) {
  daemon_.answer("keys", {{"pools", {{{"name", "web"}, {"store", "file"}}}}});
  daemon_.answer("key-rotate", {{"pool", "web"}});
  const Ran ran = daemon_.run({"key", "rotate", "--wait"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("rotation begun; `tfoctl status` tells how it goes"));
  EXPECT_EQ(daemon_.count("farm-status"), 0U);
  EXPECT_EQ(daemon_.run({"key", "rotate", "none", "--wait"}).code, 2);
}

TEST_F(TfoctlWait, RedrawnInPlaceOnATerminal) {
  daemon_.answers("farm-status", {FarmScript(), prepare_, staged_, done_});
  std::istringstream in;
  std::ostringstream out, err;
  Context context{in, out, err};
  context.live = true;
  const int code =
      tfo::run_tfoctl(context, {"--socket", daemon_.path(), "key", "rotate", "web", "--wait"});
  EXPECT_EQ(code, 0);
  EXPECT_THAT(err.str(), HasSubstr("\033[4A\033[J"));
  EXPECT_THAT(err.str(), HasSubstr("  s2 (server) has not acknowledged for"));
}

TEST_F(TfoctlWait, RekeyIsDoneWhenAllHaveAcknowledgedTheNewLine) {
  const json two = {{"newest", 2}, {"sealed_under", 1}, {"min", 1}, {"lines", {1, 2}}};
  json now = two;
  now["sealed_under"] = 2;
  FarmScript before, served, done;
  before.put("farm_key", two);
  served.asked("rekey", "served").put("farm_key", now).lag({"s1"});
  done.asked("rekey", "served").put("farm_key", now);
  daemon_.answers("farm-status", {before, before, served, done});
  const Ran ran = daemon_.run({"farm", "rekey", "--wait"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(daemon_.request("farm-request")["key"], 2);
  EXPECT_EQ(daemon_.request("farm-request")["kind"], "rekey");
}

}  // namespace
}  // namespace tfo::test
