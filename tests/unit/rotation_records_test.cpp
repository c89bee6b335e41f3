// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const Member kMember{
    .node = "lb-1.a_b", .balancer = true, .server = true, .joined_at = 1790000000, .membership = 8};

Ack ack() {
  return {.node = "s1",
          .counter = {.incarnation = 1700000000, .sequence = 7},
          .hash = "0123456789abcdef",
          .partial = "netns blue: another key",
          .balancer = false,
          .server = true,
          .renews = true,
          .boot_id = "boot",
          .instance = "0123456789abcdef",
          .sequence = 9,
          .clock = 1790000001,
          .since = 1790000000,
          .opens = {1, 2},
          .listeners = json::array({{{"port", 443}}})};
}

Request request(Request::Kind kind) {
  return {.id = "00000000000000ab",
          .kind = kind,
          .expects = {.incarnation = 1700000000, .sequence = 7},
          .generation = 0x1122334455667788,
          .gentle = true,
          .node = "s9",
          .off_wire = true,
          .key = 2,
          .revoke_all = true,
          .by = "lb1",
          .at = 1790000000};
}

TEST(RotationRecords, ComeBackFromTheirJson) {
  EXPECT_EQ(member_from(to_json(kMember)), kMember);
  EXPECT_EQ(ack_from(to_json(ack())), ack());
  Ack balancer = ack();
  balancer.listeners = nullptr;
  balancer.opens = {};
  EXPECT_EQ(ack_from(to_json(balancer)), balancer);
  for (const auto kind : {Request::Kind::kRotate, Request::Kind::kAbort, Request::Kind::kRevoke,
                          Request::Kind::kForget, Request::Kind::kRekey}) {
    const auto back = request_from(json::parse(to_json(request(kind)).dump()));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, request(kind));
  }
  EXPECT_EQ(pool_prefix("edge", "web"), "/tfo/edge/web/");
}

TEST(RotationRecords, APartialThatIsNoTextDoesNotStopTheAcknowledgement) {
  Ack odd = ack();
  odd.partial = "netns \xff\n" + std::string(5000, 'x');
  const auto back = ack_from(json::parse(to_json(odd).dump()));
  ASSERT_TRUE(back);
  EXPECT_THAT(back->partial, HasSubstr("netns   xxx"));
  EXPECT_LT(back->partial.size(), 1100U);
}

TEST(RotationRecords, EveryMissingOrWrongFieldIsNamed) {
  const json good = to_json(request(Request::Kind::kForget));
  for (const auto& field : good.items()) {
    json damaged = good;
    damaged.erase(field.key());
    EXPECT_THAT(request_from(damaged).error().message, HasSubstr(field.key() + " is missing"));
    damaged[field.key()] = json::object();
    EXPECT_THAT(request_from(damaged).error().message, HasSubstr(field.key()));
  }
  const json acked = to_json(ack());
  for (const auto& field : acked.items()) {
    json damaged = acked;
    damaged[field.key()] = json::object();
    EXPECT_THAT(ack_from(damaged).error().message, HasSubstr(field.key()));
  }
  EXPECT_FALSE(member_from(json::array()));
  json empty_node = good;
  empty_node["node"] = "";
  EXPECT_THAT(request_from(empty_node).error().message, HasSubstr("node is not a name"));
}

TEST(RotationRecords, OnlyARequestMustBeUnderstoodWhole) {
  json asked = to_json(request(Request::Kind::kRotate));
  asked["later"] = 1;
  EXPECT_THAT(request_from(asked).error().message, HasSubstr("does not know"));
  json acked = to_json(ack());
  acked["later"] = 1;
  EXPECT_TRUE(ack_from(acked));
}

TEST(RotationRecords, NamesArePartsOfKeys) {
  for (const std::string name : {"a", "S1.example-2_x"}) EXPECT_TRUE(check_name(name, "node"));
  EXPECT_TRUE(check_name(std::string(63, 'x'), "node"));
  for (const std::string& name :
       {std::string(), std::string("a/b"), std::string("a b"), std::string("\xc3\xa4"),
        std::string(64, 'x'), std::string("a\0b", 3)}) {
    EXPECT_THAT(check_name(name, "farm.node").error().message, HasSubstr("farm.node is not"));
  }
}

}  // namespace
}  // namespace tfo::rotation
