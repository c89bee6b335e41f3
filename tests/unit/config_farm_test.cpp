// SPDX-License-Identifier: BSD-2-Clause
// The section farm, and pools of the store "etcd".
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "loader/config.h"

namespace tfo::config_farm_test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::vector<std::string> errors_of(const ConfigResult& result) {
  std::vector<std::string> texts;
  if (result) return texts;
  for (const ConfigError& error : result.error()) texts.push_back(error.text());
  return texts;
}

/// A configuration with these sections besides an interface.
ConfigResult parse(const std::string& sections) {
  return parse_config(
      R"({"state_directory": "/st", "interfaces": [{"name": "e"}], )" + sections + "}", "f");
}

constexpr char kFarm[] =
    R"("farm": {"name": "edge", "node": "lb1", "etcd": {"endpoints": ["http://10.0.0.1:2379"]}})";

TEST(FarmConfig, ReadsEveryField) {
  const auto result = parse(R"(
    "farm": {"name": "edge", "node": "lb1", "key_file": "/k/farm.key", "lease": "5s",
             "etcd": {"endpoints": ["https://10.0.0.1", "https://10.0.0.2:2380"],
                      "ca_file": "/t/ca", "cert_file": "/t/cert", "key_file": "/t/key",
                      "user": "tfo", "password_file": "/t/password"}},
    "pools": {"web": {"store": "etcd", "interval": "12h", "accept_generations": 2,
                      "not_after": "48h", "deadline": "90s", "at_deadline": "go_on",
                      "forget_after": "6h", "fresh_for": "4h"}})");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  ASSERT_TRUE(result->farm);
  EXPECT_EQ(result->farm->name, "edge");
  EXPECT_EQ(result->farm->node, "lb1");
  EXPECT_EQ(result->farm->key_file, "/k/farm.key");
  EXPECT_EQ(result->farm->lease, seconds(5));
  EXPECT_THAT(result->farm->etcd.endpoints,
              ElementsAre("https://10.0.0.1:2379", "https://10.0.0.2:2380"));
  EXPECT_EQ(result->farm->etcd.ca_file, "/t/ca");
  EXPECT_EQ(result->farm->etcd.cert_file, "/t/cert");
  EXPECT_EQ(result->farm->etcd.key_file, "/t/key");
  EXPECT_EQ(result->farm->etcd.user, "tfo");
  EXPECT_EQ(result->farm->etcd.password_file, "/t/password");
  const PoolConfig& pool = result->pools.front();
  EXPECT_EQ(pool.store, StoreKind::kEtcd);
  EXPECT_EQ(pool.file, "/st/web.rotation");
  EXPECT_EQ(pool.interval, hours(12));
  EXPECT_EQ(pool.not_after, hours(48));
  EXPECT_EQ(pool.deadline, seconds(90));
  EXPECT_TRUE(pool.go_on_at_deadline);
  EXPECT_EQ(pool.forget_after, hours(6));
  EXPECT_EQ(pool.fresh_for, hours(4));
}

TEST(FarmConfig, HasDefaults) {
  const auto result = parse(R"(
    "farm": {"name": "edge", "etcd": {"endpoints": ["http://10.0.0.1:2379"]}},
    "pools": {"a": {"store": "etcd"}, "b": {"store": "etcd", "forget_after": "2h"},
              "c": {"store": "etcd", "interval": "0"}})");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  std::string host(256, '\0');
  ASSERT_EQ(gethostname(host.data(), host.size()), 0);
  EXPECT_EQ(result->farm->node, host.substr(0, host.find_first_of(std::string(".\0", 2))));
  EXPECT_EQ(result->farm->key_file, "/etc/tfoguard/farm.key");
  EXPECT_EQ(result->farm->lease, seconds(15));
  EXPECT_EQ(result->pools[0].deadline, seconds(60));
  EXPECT_FALSE(result->pools[0].go_on_at_deadline);
  EXPECT_EQ(result->pools[0].forget_after, hours(24));
  EXPECT_EQ(result->pools[0].fresh_for, hours(23));
  EXPECT_EQ(result->pools[0].not_after, hours(72));
  EXPECT_EQ(result->pools[1].fresh_for, hours(1));
  EXPECT_EQ(result->pools[2].not_after, seconds(0));
}

struct Bad {
  const char* name;
  std::string sections;
  std::vector<std::string> errors;
};

class BadFarm : public ::testing::TestWithParam<Bad> {};

TEST_P(BadFarm, SaysEverythingThatIsWrong) {
  EXPECT_THAT(errors_of(parse(GetParam().sections)), ElementsAreArray(GetParam().errors));
}

const Bad kBad[] = {
    {"no_farm",
     R"("pools": {"a": {"store": "etcd"}, "b": {"store": "etcd"}})",
     {R"(farm: is missing, and the keys of a, b come from etcd; give the farm that this node belongs to, such as {"name": "edge", "etcd": {"endpoints": ["https://10.0.0.1:2379"]}})"}},
    {"empty",
     R"("farm": {"node": "n"})",
     {R"(farm: has no "name"; give a name that all of the farm's nodes share)",
      R"(farm: has no "etcd"; give such as {"endpoints": ["https://10.0.0.1:2379"]})"}},
    {"names",
     R"("farm": {"name": "a/b", "node": "", "etcd": {"endpoints": ["http://[::1]:1"]}},
        "pools": {"p:q": {"store": "etcd"}})",
     {R"(farm.name: "a/b" cannot be a part of etcd's keys; give 1 to 63 letters, digits, '.', '_' and '-')",
      R"(farm.node: "" cannot be a part of etcd's keys; give 1 to 63 letters, digits, '.', '_' and '-')",
      R"(pools.p:q: "p:q" cannot be a part of etcd's keys; give 1 to 63 letters, digits, '.', '_' and '-')"}},
    {"everything",
     R"("farm": {"name": 1, "node": "n", "key_file": "farm.key", "lease": "1s",
                 "etcd": {"endpoints": ["10.0.0.1:2379", 7, "https://u:p@h"], "ca_file": "ca",
                          "certfile": "/c"}})",
     {"farm.name: is 1; give a string, of 1 to 63 letters, digits, '.', '_' and '-'",
      R"(farm.key_file: "farm.key" is no such path; give an absolute path of at most 4000 characters)",
      R"(farm.lease: is the string "1s"; give a duration with its unit (s, m, h, d), from "3s" to "1h")",
      R"(farm.etcd.endpoints[0]: "10.0.0.1:2379" is no address: write https://HOST:2379)",
      R"(farm.etcd.endpoints[1]: is 7; give a string, such as "https://10.0.0.1:2379")",
      "farm.etcd.endpoints[2]: an endpoint holds a user or password: use farm.etcd.user and "
      "farm.etcd.password_file",
      R"(farm.etcd.ca_file: "ca" is no such path; give an absolute path of at most 4000 characters)",
      R"(farm.etcd.certfile: is no known field; did you mean "cert_file"?)"}},
    {"no_endpoint",
     R"("farm": {"name": "f", "node": "n", "etcd": {"endpoints": []}})",
     {"farm.etcd.endpoints: is empty; give the client address of each member"}},
    {"what_belongs_together",
     R"("farm": {"name": "f", "node": "n",
                 "etcd": {"endpoints": ["https://10.0.0.1"], "cert_file": "/c", "user": "u"}})",
     {"farm.etcd.cert_file: farm.etcd.cert_file and farm.etcd.key_file belong together: give both "
      "or none",
      "farm.etcd.user: farm.etcd.user and farm.etcd.password_file belong together: give both or "
      "none"}},
    {"password_in_the_clear",
     R"("farm": {"name": "f", "node": "n",
                 "etcd": {"endpoints": ["http://10.0.0.1"], "user": "u", "password_file": "/p"}})",
     {"farm.etcd.endpoints: http://10.0.0.1:2379 would carry the password of farm.etcd.user in the "
      "clear: write https://"}},
    {"fields_of_others",
     std::string(kFarm) +
         R"(, "pools": {"p": {"store": "etcd", "file": "/f", "secret": "/s", "max_skew": "1s"},
                        "q": {"forget_after": "1h"},
                        "r": {"store": "derived", "secret": "/s", "deadline": "1m"}})",
     {R"(pools.p.file: is a field of the store "file"; an etcd pool's keys are the farm's: remove this field)",
      R"(pools.p.secret: is a field of the store "derived"; give the pool "store": "derived", or remove this field)",
      R"(pools.p.max_skew: is a field of the store "derived"; give the pool "store": "derived", or remove this field)",
      R"(pools.q.forget_after: is a field of the store "etcd"; give the pool "store": "etcd", or remove this field)",
      R"(pools.r.deadline: is a field of the store "etcd"; give the pool "store": "etcd", or remove this field)"}},
    {"lifetimes",
     std::string(kFarm) +
         R"(, "pools": {"p": {"store": "etcd", "deadline": "0", "at_deadline": "swap",
                              "forget_after": "10s", "fresh_for": "60d"},
                        "q": {"store": "etcd", "forget_after": "1m", "fresh_for": "50s"},
                        "r": {"store": "etcd", "forget_after": "2h", "fresh_for": "90m"}})",
     {R"(pools.p.deadline: is the string "0"; give a duration with its unit (s, m, h, d), from "1s" to "24h")",
      R"(pools.p.at_deadline: is the string "swap"; give "hold" or "go_on")",
      R"(pools.p.forget_after: is the string "10s"; give a duration with its unit (s, m, h, d), from "45s" to "30d")",
      R"(pools.p.fresh_for: is the string "60d"; give a duration with its unit (s, m, h, d), from "1s" to "30d")",
      R"(pools.q.fresh_for: is the string "50s"; give a duration with its unit (s, m, h, d), from "1s" to "45s")",
      R"(pools.r.fresh_for: is the string "90m"; give a duration with its unit (s, m, h, d), from "1s" to "1h")"}},
    {"state_file_twice",
     std::string(kFarm) + R"(, "pools": {"a": {"file": "/st/p.rotation"}, "p": {"store": "etcd"}})",
     {"pools.p: state file /st/p.rotation is already used by pools.a.file; every one may be used "
      "once"}},
};

INSTANTIATE_TEST_SUITE_P(Table, BadFarm, ::testing::ValuesIn(kBad),
                         [](const auto& test) { return test.param.name; });

TEST(FarmConfig, IsNotNeededByOtherStores) {
  EXPECT_TRUE(parse(R"("pools": {"a": {}})"));
  EXPECT_TRUE(parse(std::string(kFarm) + R"(, "pools": {"a": {}})")) << "a farm without a pool";
}

TEST(FarmConfig, NeverRepeatsWhatMayBeAPassword) {
  const auto result = parse(
      R"("farm": {"name": "f", "node": "n", "etcd": {"endpoints": ["https://root:hunter2@h:1"]}})");
  ASSERT_FALSE(result);
  for (const std::string& text : errors_of(result)) {
    EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace tfo::config_farm_test
