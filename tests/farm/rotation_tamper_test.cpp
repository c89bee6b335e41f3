// SPDX-License-Identifier: BSD-2-Clause
// Who can write to etcd and lacks the farm key changes nothing in a farm; and what two documents of
// one counter, or a farm made anew, lead to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/rotation_farm.h"

namespace tfo::test {
namespace {

using rotation::Document;
using rotation::Request;
using rotation::State;
using testing::HasSubstr;

class RotationTamper : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs();
    farm_.lease = lease_;
    ASSERT_EQ(farm_.init(), "");
    for (const char* name : {"s1", "s2"}) ASSERT_NE(farm_.add(name), nullptr) << farm_.error();
    ASSERT_TRUE(farm_.settled()) << farm_.text();
  }
  RotationNode& node(const std::string& name) { return farm_.node(name); }
  /// Both nodes say `id` with `text`, keep the document, and put it back.
  void expect_refused(const std::string& value, const std::string& id, const std::string& text) {
    const Document before = node("s1").document();
    const std::string genuine = farm_.raw("ring");
    ASSERT_TRUE(farm_.write("ring", value));
    const auto told = [&] {
      return node("s1").trouble(id).find(text) != std::string::npos &&
             node("s2").trouble(id).find(text) != std::string::npos;
    };
    EXPECT_TRUE(farm_.until(told)) << text << '\n' << farm_.text();
    EXPECT_TRUE(farm_.until([&] { return farm_.raw("ring") == genuine; })) << text;
    EXPECT_TRUE(node("s1").document() == before && node("s2").document() == before) << text;
  }

  std::chrono::seconds lease_{2};  // a leader mints after two of them
  EtcdCluster cluster_;
  RotationFarm farm_{cluster_};
};

/// All nodes read the junk in this one thread, and renew their leases in it.
class RotationJunk : public RotationTamper {
 protected:
  RotationJunk() { lease_ = std::chrono::seconds(6); }
};

TEST_F(RotationTamper, WhatIsNotGenuineIsRefusedAndReplaced) {
  const std::string yesterday = farm_.raw("ring");
  ASSERT_EQ(farm_.rotate(node("s1")), "");
  expect_refused("garbage", "store_refused", "ring");

  std::string edited = farm_.raw("ring");
  auto json = nlohmann::json::parse(edited);
  json["counter"][1] = json["counter"][1].get<int>() + 1;
  expect_refused(json.dump(), "store_refused", "ring");

  // Genuine, but another pool's.
  const rotation::Sealer other("edge", "other");
  const auto key = rotation::FarmKey::load(farm_.directory / "farm.key");
  ASSERT_TRUE(key);
  Document document = node("s1").document();
  document.counter.sequence++;
  expect_refused(other.seal(*key, 1, "ring", document.counter, rotation::encode(document)),
                 "store_refused", "ring");
  // Genuine, and of the acknowledgements' place.
  expect_refused(farm_.raw("ack/s1"), "store_refused", "ring");
  // Genuine, and yesterday's.
  expect_refused(yesterday, "store_rolled_back", "older");
  EXPECT_EQ(farm_.rotate(node("s2")), "");
}

TEST_F(RotationTamper, ForgedRecordsHoldNobodyUpAndLetNobodyThrough) {
  // A forged acknowledgement counts for nothing, and is written again.
  node("s2").applies = false;
  ASSERT_TRUE(node("s1").agent->ask(Request{}));
  ASSERT_TRUE(farm_.until([&] { return node("s2").document().state == State::kPrepare; }))
      << farm_.text();
  ASSERT_TRUE(farm_.write("ack/s2", farm_.raw("ack/s1")));
  const std::string forged = farm_.raw("ack/s2");
  ASSERT_TRUE(farm_.until([&] { return farm_.raw("ack/s2") != forged; })) << farm_.text();
  EXPECT_EQ(node("s1").document().state, State::kPrepare);
  EXPECT_THAT(farm_.leader()->trouble("store_refused"), HasSubstr("ack/s2"));
  // A spoilt member record does not make the farm go on without its node.
  ASSERT_TRUE(farm_.write("member/s2", "garbage"));
  ASSERT_TRUE(farm_.until([&] { return farm_.raw("member/s2") != "garbage"; }));
  EXPECT_EQ(node("s1").document().state, State::kPrepare);
  // Nor does one that is gone for a moment, once its node is back.
  node("s2").applies = true;
  node("s2").apply();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
}

TEST_F(RotationTamper, NamesThatNoNodeGivesChangeNothing) {
  for (const char* name : {"member/no name\xff", "ack/a/b", "live/ ", "request/\xff"}) {
    ASSERT_TRUE(farm_.write(name, "garbage"));
  }
  RotationNode* leader = farm_.leader();
  ASSERT_NE(leader, nullptr) << farm_.text();
  const auto told = [&] {
    return leader->trouble("store_refused").find("no node gives") != std::string::npos;
  };
  EXPECT_TRUE(farm_.until(told)) << farm_.text();
  EXPECT_EQ(farm_.rotate(node("s1")), "");
  EXPECT_EQ(leader->agent->status()["members"].size(), 2U);
  EXPECT_NO_THROW(leader->agent->status().dump());
}

TEST_F(RotationTamper, ForkIsUnited) {
  Document other = node("s1").document();
  other.writer = "another";
  ASSERT_TRUE(farm_.write("ring", farm_.seal("ring", other.counter, rotation::encode(other))));
  const auto told = [&] { return !node("s1").trouble("fork").empty(); };
  EXPECT_TRUE(farm_.until(told)) << farm_.text();
  ASSERT_TRUE(farm_.until([&] {
    return node("s1").document().counter > other.counter &&
           node("s1").document() == node("s2").document();
  })) << farm_.text();
  EXPECT_EQ(farm_.rotate(node("s2")), "");
}

TEST_F(RotationTamper, FarmMadeAnewIsFollowedAndALowerOneOnlyByHand) {
  const Document old = node("s1").document();
  etcd::Delete all{farm_.key(""), etcd::prefix_end(farm_.key(""))};
  ASSERT_TRUE(farm_.session().await<etcd::DeleteReply>(
      [&](auto done) { return etcd::remove(farm_.session().client(), all, std::move(done)); }));
  // Wiped: what the nodes have is put back, and they join again.
  ASSERT_TRUE(farm_.until([&] { return farm_.document() == old; })) << farm_.text();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  const rotation::Machine machine(farm_.policy, "init");
  const auto anew =
      machine.first("edge", "web", old.counter.incarnation + 1000, 1, {Key::random()});
  ASSERT_TRUE(anew);
  ASSERT_TRUE(farm_.write("ring", farm_.seal("ring", anew->counter, rotation::encode(*anew))));
  ASSERT_TRUE(farm_.until([&] {
    return node("s1").document() == *anew && node("s2").document() == *anew;
  })) << farm_.text();
  ASSERT_TRUE(farm_.settled()) << farm_.text();

  EXPECT_FALSE(node("s1").agent->adopt());
  farm_.kill("s2");
  ASSERT_TRUE(farm_.write("ring", farm_.seal("ring", old.counter, rotation::encode(old))));
  auto adopted = node("s1").agent->adopt();
  farm_.until([&] { return (adopted = node("s1").agent->adopt()).has_value(); });
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ((*adopted)["adopted"]["counter"], old.counter.text());
  EXPECT_EQ((*adopted)["given_up"]["counter"], anew->counter.text());
  ASSERT_TRUE(farm_.until([&] { return farm_.document() == old; })) << farm_.text();
  EXPECT_TRUE(node("s1").document() == old);
}

TEST_F(RotationJunk, DoesNotKeepANewLeaderFromItsWork) {
  ASSERT_NE(farm_.add("s3"), nullptr) << farm_.error();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  // More than one reply of etcd's may hold.
  const std::string junk(1U << 20U, 'j');
  for (int i = 0; i < 20; i++) ASSERT_TRUE(farm_.write("junk/" + std::to_string(i), junk));
  const RotationNode* leader = farm_.leader();
  ASSERT_NE(leader, nullptr) << farm_.text();
  const std::string gone = leader->name;
  std::optional<Result<>> left;
  farm_.leader()->agent->leave([&](Result<> done) { left = std::move(done); });
  ASSERT_TRUE(farm_.until([&] { return left.has_value(); }));
  ASSERT_TRUE(*left) << left->error().message;
  farm_.kill(gone);
  EXPECT_EQ(farm_.rotate(node(gone == "s1" ? "s2" : "s1")), "");
}

}  // namespace
}  // namespace tfo::test
