// SPDX-License-Identifier: BSD-2-Clause
// What a VIP does: fields, defaults, and what the programs are told.
#include <gtest/gtest.h>

#include <chrono>

#include "loader/config.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/observe/report.h"

namespace tfo::config_policy_test {
namespace {

std::vector<std::string> errors_of(const ConfigResult& result) {
  std::vector<std::string> texts;
  if (result) return texts;
  for (const ConfigError& error : result.error()) texts.push_back(error.text());
  return texts;
}

std::string with_vip(const std::string& fields) {
  return R"({"interfaces": [{"name": "eth0"}], "pools": {"web": {}}, "vips": [{)" + fields + "}]}";
}

const std::string kGood = R"("name": "a", "addresses": ["192.0.2.1"], "pool": "web")";

TEST(ConfigPolicy, ReadsEveryField) {
  const auto result = parse_config(
      with_vip(kGood +
               R"(, "mode": "canary", "canary": 5, "on_invalid": "drop",)"
               R"( "on_data_without_option": "drop", "on_truncated": "pass",)"
               R"( "drop_above": 200, "unproven_rate": 300, "protect_syn_queue": "retry",)"
               R"( "signed": true, "duplicate_window": "2m",)"
               R"( "guard": {"address_limit": 4, "limit": 16, "site_limit": 24, "vip_limit": 256,)"
               R"( "open_rate": 4})"),
      "f");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  const VipConfig& vip = result->vips.at(0);
  EXPECT_EQ(vip.mode, TFO_CANARY);
  EXPECT_EQ(vip.canary, 5U);
  const PolicyConfig wanted{.on_invalid = TFO_DROP,
                            .on_data_without_option = TFO_DROP,
                            .on_truncated = TFO_PASS,
                            .drop_above = 200,
                            .unproven_rate = 300,
                            .retry = true,
                            .passes_signed = true,
                            .duplicate_window = std::chrono::minutes(2)};
  EXPECT_EQ(vip.policy, wanted);
  const GuardConfig guard{.on = true,
                          .address_limit = 4,
                          .limit = 16,
                          .site_limit = 24,
                          .vip_limit = 256,
                          .open_rate = 4};
  EXPECT_EQ(vip.guard, guard);
  EXPECT_TRUE(result->interfaces[0].guard);
}

TEST(ConfigPolicy, DefaultsAreTheDocumentedOnes) {
  const auto result = parse_config(with_vip(kGood), "f");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  const auto vip = vips_json(result->vips, {})["vips"][0];
  EXPECT_EQ(vip["mode"], "observe");
  EXPECT_EQ(vip["on_invalid"], "pass");
  EXPECT_EQ(vip["on_data_without_option"], "pass");
  EXPECT_EQ(vip["on_truncated"], "drop");
  EXPECT_EQ(vip["protect_syn_queue"], "off");
  EXPECT_EQ(vip["signed"], false);
  EXPECT_EQ(vip["duplicate_window"], "1m");
  EXPECT_EQ(vip["unproven_rate"], 100);
  EXPECT_EQ(vip["drop_above"], nullptr);
  EXPECT_EQ(vip["guard"]["limit"], nullptr);
}

TEST(ConfigPolicy, TheGuardCanBeSwitchedOff) {
  const auto result = parse_config(with_vip(kGood + R"(, "guard": "off")"), "f");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  EXPECT_FALSE(result->interfaces[0].guard) << "no VIP has it: no packet pays for it";
  EXPECT_EQ(kernel_guard(result->vips[0], {}).flags, 0U);
  EXPECT_EQ(vips_json(result->vips, {})["vips"][0]["guard"], "off");
}

TEST(VipPolicy, RatesFollowWhatIsKnownOfTheServers) {
  PolicyConfig config;
  config.on_invalid = TFO_DROP;
  EXPECT_EQ(kernel_policy(config, {}).unproven_rate, 100U);
  EXPECT_EQ(kernel_policy(config, {}).drop_above, 100U) << "never above unproven_rate";
  ServerFacts servers;
  servers.unproven_rate = 5000;
  EXPECT_EQ(kernel_policy(config, servers).unproven_rate, 5000U);
  EXPECT_EQ(kernel_policy(config, servers).unproven_ns, 200'000U);
  EXPECT_EQ(kernel_policy(config, servers).drop_above, 1000U);
  config.unproven_rate = 10;
  EXPECT_EQ(kernel_policy(config, servers).unproven_rate, 10U) << "what is configured wins";
  servers.no_cookie = true;
  EXPECT_EQ(kernel_policy(config, servers).flags, TFO_POLICY_NO_DEMOTE);
}

TEST(VipPolicy, GuardLimitsAreSharesOfTheServersQueues) {
  VipConfig vip;
  EXPECT_EQ(kernel_guard(vip, {}).limit[TFO_LEVEL_NETWORK], 0U) << "off: nothing is known";
  EXPECT_NE(kernel_guard(vip, {}).duplicate_ticks, 0U);
  ServerFacts servers;
  servers.fastopen_limit = 2048;
  servers.balancers = 2;
  EXPECT_EQ(kernel_guard(vip, servers).limit[TFO_LEVEL_NETWORK], 128U);
  EXPECT_EQ(kernel_guard(vip, servers).limit[TFO_LEVEL_VIP], 512U);
  servers.fastopen_limit = 64;
  EXPECT_EQ(kernel_guard(vip, servers).limit[TFO_LEVEL_NETWORK], 8U) << "at least";
  vip.guard.open_rate = 10;
  EXPECT_EQ(kernel_guard(vip, servers).opens, 91U) << "in a bucket of 9.16 s";
}

struct LadderCase {
  std::optional<uint64_t> queues;
  GuardConfig config;
  GuardLimits limits{};  // address, network, site, VIP
};

const LadderCase kLadders[] = {
    {4096, {}, {128, 512, 1024, 2048}},
    {256, {}, {8, 32, 64, 128}},
    {128, {}, {8, 16, 32, 64}},
    {64, {}, {4, 8, 16, 32}},
    {8, {}, {2, 4, 4, 4}},
    {1, {}, {1, 1, 1, 1}},
    {{}, {}, {0, 0, 0, 0}},
    {UINT64_MAX, {.vip_limit = 100}, {25, 100, 100, 100}},
    {256, {.address_limit = 3}, {3, 32, 64, 128}},
    {256, {.address_limit = 50}, {50, 50, 100, 128}},
    {256, {.limit = 40}, {10, 40, 80, 128}},
    {256, {.limit = 200}, {50, 200, 200, 128}},
    {256, {.site_limit = 20}, {8, 20, 20, 128}},
    {256, {.address_limit = 1, .limit = 2, .site_limit = 3, .vip_limit = 4}, {1, 2, 3, 4}},
    {{}, {.limit = 1}, {1, 1, 2, 0}},
    {{}, {.limit = 100, .vip_limit = 128}, {25, 100, 128, 128}},
    {{}, {.address_limit = 5}, {5, 0, 0, 0}},
};

TEST(VipPolicy, TheLimitsAreALadder) {
  for (const LadderCase& one : kLadders) {
    ServerFacts servers;
    servers.fastopen_limit = one.queues;
    EXPECT_EQ(guard_limits(one.config, servers), one.limits) << one.queues.value_or(0);
  }
  // What the least server holds bounds all of one network's connections, which may come to it.
  for (const uint64_t servers_count : {1, 2, 8, 64}) {
    ServerFacts servers;
    servers.fastopen_limit = 128 * servers_count;
    servers.fastopen_least = 128;
    const GuardLimits limits = guard_limits({}, servers);
    EXPECT_EQ(limits[TFO_LEVEL_NETWORK], 16U) << servers_count;
    EXPECT_EQ(limits[TFO_LEVEL_ADDRESS], 8U) << servers_count;
    EXPECT_EQ(limits[TFO_LEVEL_SITE], 32U) << servers_count;
    EXPECT_EQ(limits[TFO_LEVEL_VIP], 64 * servers_count);
    servers.balancers = 2;
    EXPECT_EQ(guard_limits({}, servers)[TFO_LEVEL_NETWORK], 8U);
  }
  // By default who holds all that one address can leaves half of its network to the neighbours.
  for (uint64_t queues = 128; queues < 70'000; queues += 17) {
    ServerFacts servers;
    servers.fastopen_limit = queues;
    const GuardLimits limits = guard_limits({}, servers);
    EXPECT_LE(2 * limits[TFO_LEVEL_ADDRESS], limits[TFO_LEVEL_NETWORK]) << queues;
    EXPECT_LT(limits[TFO_LEVEL_NETWORK], limits[TFO_LEVEL_SITE]) << queues;
    EXPECT_LE(2 * limits[TFO_LEVEL_SITE], limits[TFO_LEVEL_VIP]) << queues;
  }
}

TEST(VipPolicy, PacketsOfAVipWithoutAPolicyAskNoOne) {
  VipConfig vip;
  EXPECT_EQ(vip_flags(vip), TFO_VIP_USED);
  vip.policy.on_invalid = TFO_DROP;
  EXPECT_EQ(vip_flags(vip), TFO_VIP_USED | TFO_VIP_POLICY | TFO_VIP_PROVE);
  vip.mode = TFO_CANARY;
  vip.canary = 5;
  EXPECT_EQ(canary_share(vip), 500);
}

struct BadCase {
  const char* name;
  std::string text;
  std::vector<std::string> errors;
};

const BadCase kBad[] = {
    {"vip_canary_of_whom",
     with_vip(kGood + R"(, "mode": "canary")"),
     {R"(vips[0]: is in mode "canary" and does not say for whom; give the percent of the client prefixes that are enforced, such as "canary": 5)"}},
    {"vip_canary_percent",
     with_vip(kGood + R"(, "mode": "canary", "canary": 100)"),
     {"vips[0].canary: is 100; give percent of the client prefixes, a whole number from 1 to 99"}},
    {"vip_canary_in_enforce",
     with_vip(kGood + R"(, "mode": "enforce", "canary": 5)"),
     {R"(vips[0].canary: is the share of mode "canary", and this VIP has another mode; give the VIP "mode": "canary", or remove this field)"}},
    {"vip_policy_words",
     with_vip(kGood +
              R"(, "on_invalid": "strip", "on_data_without_option": "demote", "on_truncated": 1,)"
              R"( "protect_syn_queue": "on", "signed": "yes")"),
     {R"(vips[0].on_invalid: is the string "strip"; give "pass", "demote" or "drop")",
      R"(vips[0].on_data_without_option: is the string "demote"; give "pass" or "drop")",
      R"(vips[0].on_truncated: is 1; give "pass" or "drop")",
      R"(vips[0].protect_syn_queue: is the string "on"; give "off" or "retry")",
      R"(vips[0].signed: is the string "yes"; give true or false)"}},
    {"vip_rates",
     with_vip(kGood + R"(, "on_invalid": "drop", "unproven_rate": 50, "drop_above": 51)"),
     {R"(vips[0].drop_above: is 51, above the VIP's "unproven_rate"; give at most 50: more would fill the servers' SYN queues before any is dropped)"}},
    {"vip_rate_of_nothing",
     with_vip(kGood + R"(, "on_invalid": "demote", "drop_above": 0, "unproven_rate": 0)"),
     {"vips[0].unproven_rate: is 0; give SYNs a second, a whole number from 1 to 1000000",
      "vips[0].drop_above: is 0; give invalid cookies a second, a whole number from 1 to 1000000"}},
    {"vip_drop_above_alone",
     with_vip(kGood + R"(, "drop_above": 10)"),
     {R"(vips[0].drop_above: does nothing without "on_invalid": "drop"; give the VIP that, or remove this field)"}},
    {"vip_duplicate_window",
     with_vip(kGood + R"(, "duplicate_window": "11m")"),
     {R"(vips[0].duplicate_window: is the string "11m"; give a duration with its unit (s, m, h, d), from "1s" to "2m", or "0")"}},
    {"vip_guard",
     with_vip(kGood + R"(, "guard": {"limit": 9, "vip_limit": 8, "open_rat": 1})"),
     {R"(vips[0].guard.open_rat: is no known field; did you mean "open_rate"?)",
      R"(vips[0].guard: has "limit" above its "vip_limit"; give a part of the clients no more than the whole)"}},
    {"vip_guard_ladder",
     with_vip(kGood + R"(, "guard": {"address_limit": 9, "limit": 8, "site_limit": 7})"),
     {R"(vips[0].guard: has "address_limit" above its "limit"; give a part of the clients no more than the whole)",
      R"(vips[0].guard: has "limit" above its "site_limit"; give a part of the clients no more than the whole)"}},
    {"vip_guard_word",
     with_vip(kGood + R"(, "guard": "on")"),
     {R"(vips[0].guard: is the string "on"; give an object, such as {"limit": 32}, or "off")"}},
    {"guard_handshakes",
     R"({"interfaces": [{"name": "e"}], "guard": {"handshakes": 5000}})",
     {"guard.handshakes: is 5000, which is no power of two; give 4096 or 8192"}},
};

class ConfigPolicyErrors : public testing::TestWithParam<BadCase> {};

TEST_P(ConfigPolicyErrors, NameTheFieldAndWhatToDo) {
  EXPECT_EQ(errors_of(parse_config(GetParam().text, "f")), GetParam().errors);
}

INSTANTIATE_TEST_SUITE_P(Cases, ConfigPolicyErrors, testing::ValuesIn(kBad),
                         [](const auto& bad) { return std::string(bad.param.name); });

}  // namespace
}  // namespace tfo::config_policy_test
