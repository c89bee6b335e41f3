// SPDX-License-Identifier: BSD-2-Clause
#include "loader/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tfo::config_test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::vector<std::string> errors_of(const ConfigResult& result) {
  std::vector<std::string> texts;
  if (result) return texts;
  for (const ConfigError& error : result.error()) texts.push_back(error.text());
  return texts;
}

constexpr char kWhole[] = R"({
  // every field
  "instance": "edge-1",
  "interfaces": [{"name": "eth0", "mode": "native", "decap": ["ipip", "gue"], "gue_port": 6081, "egress": true},
                 {"name": "eth1"}],
  "pools": {"web": {"store": "file", "file": "/k/web.keys", "interval": "1h30m",
                    "accept_generations": 2, "not_after": "6h"},
            "api": {}},
  "vips": [{"name": "web", "addresses": ["192.0.2.10", "2001:db8::10"], "ports": [80, 443],
            "pool": "web", "mode": "observe"},
           {"name": "web-any", "addresses": ["192.0.2.10"], "pool": "web", "mode": "enforce",
            "renew": true}],
  "server": {"namespaces": [{"pool": "web"}, {"pool": "api", "netns": "api"},
                            {"pool": "api", "netns": "/proc/7/ns/net"}],
             "manage_sysctl": false, "enable_delay": "90s", "on_drift": "report",
             "restore_on_stop": true},
  "http": {"listen": "[::1]:0"}, /* and the places */
  "socket": "/run/x.sock", "state_directory": "/var/lib/x", "bpffs": "/bpf", "log_level": "debug"
})";

TEST(Config, ReadsEveryField) {
  const ConfigResult result = parse_config(kWhole, "f");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  EXPECT_EQ(result->instance, "edge-1");
  EXPECT_EQ(result->pin_directory(), "/bpf/tfoguard/edge-1");
  ASSERT_EQ(result->interfaces.size(), 2u);
  EXPECT_EQ(result->interfaces[0].mode, AttachMode::kNative);
  EXPECT_EQ(result->interfaces[0].decap, 3);
  EXPECT_EQ(result->interfaces[0].gue_port, 6081);
  EXPECT_TRUE(result->interfaces[0].egress);
  EXPECT_FALSE(result->interfaces[1].egress);
  EXPECT_EQ(result->interfaces[1].mode, AttachMode::kAuto);
  ASSERT_EQ(result->pools.size(), 2u);
  EXPECT_EQ(result->pools[0].name, "api");
  EXPECT_EQ(result->pools[0].file, "/var/lib/x/api.keys");
  EXPECT_EQ(result->pools[0].interval, hours(24));
  EXPECT_EQ(result->pools[0].not_after, hours(72));
  ASSERT_NE(result->pool("web"), nullptr);
  EXPECT_EQ(result->pool("web")->interval, minutes(90));
  EXPECT_EQ(result->pool("web")->accept_generations, 2u);
  ASSERT_EQ(result->vips.size(), 2u);
  EXPECT_EQ(address_text(result->vips[0].addresses[0]), "192.0.2.10");
  EXPECT_EQ(address_text(result->vips[0].addresses[1]), "2001:db8::10");
  EXPECT_EQ(result->vips[0].ports, (std::vector<uint16_t>{80, 443}));
  EXPECT_TRUE(result->vips[1].ports.empty());
  EXPECT_EQ(result->vips[0].mode, TFO_OBSERVE);
  EXPECT_FALSE(result->vips[0].renew);
  EXPECT_EQ(result->vips[1].mode, TFO_ENFORCE);
  EXPECT_TRUE(result->vips[1].renew);
  ASSERT_TRUE(result->server);
  EXPECT_FALSE(result->server->manage_sysctl);
  EXPECT_EQ(result->server->on_drift, OnDrift::report);
  EXPECT_TRUE(result->server->restore_on_stop);
  EXPECT_EQ(result->server->namespaces[0].netns, "");
  EXPECT_EQ(result->server->namespaces[1].netns, "/run/netns/api");
  EXPECT_EQ(result->server->namespaces[2].netns, "/proc/7/ns/net");
  EXPECT_EQ(result->http->host, "::1");
  EXPECT_EQ(result->http->port, 0);
}

TEST(Config, DefaultsAreThePublishedPlaces) {
  const ConfigResult result = parse_config(R"({"interfaces": [{"name": "eth0"}]})", "f");
  ASSERT_TRUE(result) << ::testing::PrintToString(errors_of(result));
  EXPECT_EQ(result->socket, "/run/tfoguard/tfod.sock");
  EXPECT_EQ(result->pin_directory(), "/sys/fs/bpf/tfoguard/default");
  EXPECT_EQ(result->http->host, "127.0.0.1");
  EXPECT_EQ(result->http->port, 9413);
  EXPECT_FALSE(result->server);
}

TEST(Config, HttpNullSwitchesItOff) {
  const auto result = parse_config(R"({"interfaces": [{"name": "e"}], "http": null})", "f");
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->http);
}

TEST(Config, KeysThatNobodyRotatesHaveNoEnd) {
  const auto result =
      parse_config(R"({"interfaces": [{"name": "e"}], "pools": {"p": {"interval": 0}}})", "f");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->pools[0].not_after, seconds(0));
}

struct BadCase {
  const char* name;
  std::string text;
  std::vector<std::string> errors;
};

/// `extra` beside an interface, a pool "web" and whatever else a field needs.
std::string with(const std::string& extra) {
  return R"({"interfaces": [{"name": "eth0"}], "pools": {"web": {}}, )" + extra + "}";
}

std::string with_vip(const std::string& fields) { return with(R"("vips": [{)" + fields + "}]"); }

const std::string kGood = R"("name": "a", "addresses": ["192.0.2.1"], "pool": "web")";

const BadCase kBad[] = {
    {"empty",
     " \n",
     {R"(f: is empty; give a JSON object such as {"interfaces": [{"name": "eth0"}], ...})"}},
    {"array",
     "[]",
     {R"(f: is an array; give an object, such as {"interfaces": [{"name": "eth0"}], ...})"}},
    {"no_role",
     "{}",
     {R"(interfaces: is missing or empty, and there is no "server"; give the interfaces to watch, such as [{"name": "eth0"}], or a server role)"}},
    {"no_role_and_more",
     R"({"interfaces": [], "server": null, "pools": {"p": {"interval": "daily", "not_after": "2h"}}, "x": 1})",
     {R"(pools.p.interval: is the string "daily"; give a duration with its unit (s, m, h, d), from "1s" to "7d", or "0")",
      "x: is no known field; remove it; the fields here are instance, socket, state_directory, "
      "bpffs, log_level, farm, pools, interfaces, vips, server, http, guard, alerts, monitor",
      R"(interfaces: is missing or empty, and there is no "server"; give the interfaces to watch, such as [{"name": "eth0"}], or a server role)"}},
    {"typo", with(R"("vipz": [])"), {R"(vipz: is no known field; did you mean "vips"?)"}},
    {"unknown",
     with(R"("colour": 1)"),
     {"colour: is no known field; remove it; the fields here are instance, socket, "
      "state_directory, "
      "bpffs, log_level, farm, pools, interfaces, vips, server, http, guard, alerts, monitor"}},
    {"key_as_a_name",
     with(
         R"("instance": "00112233-44556677-8899aabb-ccddeeff", "00112233-4455667x-8899aabb-ccddeeff": 1)"),
     {"instance: looks like a key; names are shown everywhere: give a string of 1 to 63 "
      "characters: letters, digits, '.', '_', ':' and '-', beginning with a letter or digit",
      "<key>: is no known field; remove it; the fields here are instance, socket, "
      "state_directory, "
      "bpffs, log_level, farm, pools, interfaces, vips, server, http, guard, alerts, monitor"}},
    {"duplicate_key",
     R"({"interfaces": [{"name": "eth0", "mode": "auto", "mode": "native"}]})",
     {"interfaces[0].mode: is given twice in the same object; keep one of the two"}},
    {"interface_type",
     R"({"interfaces": {"name": "eth0"}})",
     {R"(interfaces: is an object; give an array, such as [{"name": "eth0"}])"}},
    {"interface_nameless",
     R"({"interfaces": [{}]})",
     {R"(interfaces[0]: has no "name"; give the interface's name, such as "eth0")"}},
    {"interface_long",
     R"({"interfaces": [{"name": "abcdefghijklmnop"}]})",
     {R"(interfaces[0].name: "abcdefghijklmnop" cannot be an interface; give the name of a network interface (1 to 15 characters))"}},
    {"interface_twice",
     R"({"interfaces": [{"name": "e"}, {"name": "e"}]})",
     {"interfaces[1].name: interface e is already used by interfaces[0].name; every one may be "
      "used once"}},
    {"mode",
     R"({"interfaces": [{"name": "e", "mode": "fast"}]})",
     {R"(interfaces[0].mode: is the string "fast"; give "auto", "native" or "generic")"}},
    {"decap",
     R"({"interfaces": [{"name": "e", "decap": ["gre"]}]})",
     {R"(interfaces[0].decap[0]: is the string "gre"; give "ipip" or "gue")"}},
    {"decap_twice",
     R"({"interfaces": [{"name": "e", "decap": ["gue", "ipip", "gue", "ipip"]}]})",
     {R"(interfaces[0].decap[2]: "gue" is given twice; remove one of the two)",
      R"(interfaces[0].decap[3]: "ipip" is given twice; remove one of the two)"}},
    {"decap_long",
     R"({"interfaces": [{"name": "e", "decap": ["gre", "gue", "", "", "", "", "", "", "gre"]}]})",
     {"interfaces[0].decap: has 9 elements; give at most 8",
      R"(interfaces[0].decap[0]: is the string "gre"; give "ipip" or "gue")",
      R"(interfaces[0].decap[2]: is the string ""; give "ipip" or "gue")",
      R"(interfaces[0].decap[3]: is the string ""; give "ipip" or "gue")",
      R"(interfaces[0].decap[4]: is the string ""; give "ipip" or "gue")",
      R"(interfaces[0].decap[5]: is the string ""; give "ipip" or "gue")",
      R"(interfaces[0].decap[6]: is the string ""; give "ipip" or "gue")",
      R"(interfaces[0].decap[7]: is the string ""; give "ipip" or "gue")"}},
    {"gue_port",
     R"({"interfaces": [{"name": "e", "gue_port": 65536}]})",
     {"interfaces[0].gue_port: is 65536; give a UDP port, a whole number from 1 to 65535"}},
    {"derived_without_secret",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"store": "derived"}}})",
     {R"(pools.p: has no "secret"; give the path of the secret, such as "/etc/tfoguard/web.secret")"}},
    {"derived_fields_of_file",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"store": "derived", "secret": "/s", "file": "/k"}}})",
     {R"(pools.p.file: is a field of the store "file"; a derived pool's keys come from "secret": remove this field)"}},
    {"file_fields_of_derived",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"secret": "/s", "max_skew": "1s"}}})",
     {R"(pools.p.secret: is a field of the store "derived"; give the pool "store": "derived", or remove this field)",
      R"(pools.p.max_skew: is a field of the store "derived"; give the pool "store": "derived", or remove this field)"}},
    {"derived_too_short_to_renew",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"store": "derived", "secret": "/s", "interval": "40s"}},
         "vips": [{"name": "v", "addresses": ["192.0.2.1"], "pool": "p", "renew": true}]})",
     {R"(vips[0].renew: cannot be with pool "p"; renewal needs an interval of at least 4 x (2 x max_skew + 5 s), to know what every server holds: give a max_skew of at most 2500 ms, or an interval of at least 60 s)"}},
    {"derived_odd_interval",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"store": "derived", "secret": "/s", "interval": "11s"}}})",
     {"pools.p.interval: is 11 s, which has no middle; give an even number of seconds: servers "
      "change at each half"}},
    {"derived_by_command",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"store": "derived", "secret": "/s", "interval": "0"}}})",
     {R"(pools.p.interval: is the string "0"; give a duration with its unit (s, m, h, d), from "10s" to "7d")"}},
    {"derived_skew",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"store": "derived", "secret": "/s", "max_skew": "2h"}}})",
     {R"(pools.p.max_skew: is the string "2h"; give a duration with its unit (ms, s, m, h), from "0" to "1h")"}},
    {"pool_name",
     R"({"interfaces": [{"name": "e"}], "pools": {"a/b": {}}})",
     {R"(pools.a/b: "a/b" is no name; give a string of 1 to 63 characters: letters, digits, '.', '_', ':' and '-', beginning with a letter or digit)"}},
    {"pool_name_and_field",
     R"({"interfaces": [{"name": "e"}], "pools": {"a/b": {"store": "x"}}})",
     {R"(pools.a/b: "a/b" is no name; give a string of 1 to 63 characters: letters, digits, '.', '_', ':' and '-', beginning with a letter or digit)",
      R"(pools.a/b.store: is the string "x"; give "file", "derived" or "etcd")"}},
    {"pool_file",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"file": "web.keys"}}})",
     {R"(pools.p.file: "web.keys" is no such path; give an absolute path of at most 4000 characters)"}},
    {"pool_file_twice",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"file": "/k"}, "q": {"file": "/k"}}})",
     {"pools.q.file: key file /k is already used by pools.p.file; every one may be used once"}},
    {"interval_unit",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"interval": 86400}}})",
     {R"(pools.p.interval: is 86400; give a duration with its unit (s, m, h, d), from "1s" to "7d", or "0")"}},
    {"interval_word",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"interval": "daily"}}})",
     {R"(pools.p.interval: is the string "daily"; give a duration with its unit (s, m, h, d), from "1s" to "7d", or "0")"}},
    {"not_after_short",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"interval": "1h", "not_after": "30m"}}})",
     {R"(pools.p.not_after: is the string "30m"; give a duration with its unit (s, m, h, d), from "1h" to "7d")"}},
    {"not_after_without_interval",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"interval": "0", "not_after": "30m"}}})",
     {R"(pools.p.not_after: ends keys that nobody rotates; give "0" or an interval)"}},
    {"generations",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {"accept_generations": 14}}})",
     {"pools.p.accept_generations: is 14; give a number of retired keys, a whole number from 0 to "
      "13"}},
    {"vip_pool_typo",
     with_vip(R"("name": "a", "addresses": ["192.0.2.1"], "pool": "wbe")"),
     {R"(vips[0].pool: there is no pool "wbe"; did you mean "web"?)"}},
    {"vip_pool_missing",
     with_vip(R"("name": "a", "addresses": ["192.0.2.1"])"),
     {R"(vips[0]: has no "pool"; give the name of a pool in "pools")"}},
    {"vip_no_address",
     with_vip(R"("name": "a", "addresses": [], "pool": "web")"),
     {R"(vips[0].addresses: names no address; give addresses, such as ["192.0.2.10", "2001:db8::10"])"}},
    {"vip_address",
     with_vip(
         R"("name": "a", "addresses": ["192.0.2.0/24", "x", "224.0.0.1", "::ffff:1.2.3.4", 7], "pool": "web")"),
     {R"(vips[0].addresses[0]: "192.0.2.0/24" is a prefix; give one unicast address, such as "192.0.2.10" or "2001:db8::10")",
      R"(vips[0].addresses[1]: "x" is no IP address; give one unicast address, such as "192.0.2.10" or "2001:db8::10")",
      R"(vips[0].addresses[2]: "224.0.0.1" is no unicast address; give one unicast address, such as "192.0.2.10" or "2001:db8::10")",
      R"(vips[0].addresses[3]: "::ffff:1.2.3.4" is an IPv4 address in IPv6 form; give one unicast address, such as "192.0.2.10" or "2001:db8::10")",
      "vips[0].addresses[4]: is 7; give a string, one IPv4 or IPv6 address"}},
    {"vip_ports",
     with_vip(kGood + R"(, "ports": [0, 80, 80, "443"])"),
     {"vips[0].ports[0]: is 0; give a TCP port, a whole number from 1 to 65535",
      "vips[0].ports[2]: port 80 is given twice; remove one of the two",
      R"(vips[0].ports[3]: is the string "443"; give a TCP port, a whole number from 1 to 65535)"}},
    {"vip_mode",
     with_vip(kGood + R"(, "mode": "protect")"),
     {R"(vips[0].mode: is the string "protect"; give "observe", "canary" or "enforce")"}},
    {"vip_renew",
     with_vip(kGood + R"(, "renew": "yes")"),
     {R"(vips[0].renew: is the string "yes"; give true or false)"}},
    {"vip_twice",
     with(R"("vips": [{)" + kGood + "}, {" + kGood + "}]"),
     {"vips[1].name: VIP name a is already used by vips[0].name; every one may be used once",
      R"(vips[1]: 192.0.2.1 port any is already in VIP "a"; a pair of address and port belongs to one VIP)"}},
    {"vip_two_pools",
     R"({"interfaces": [{"name": "e"}], "pools": {"p": {}, "q": {}}, "vips": [
        {"name": "a", "addresses": ["2001:db8::1"], "ports": [80], "pool": "p"},
        {"name": "b", "addresses": ["2001:db8:0::1"], "ports": [443], "pool": "q"}]})",
     {R"(vips[1].addresses[0]: 2001:db8:0::1 belongs to pool "p" (VIP "a") and to pool "q"; clients keep one cookie per address, whatever the port: use one pool)"}},
    {"namespace_two_pools",
     R"({"pools": {"p": {}, "q": {}},
         "server": {"namespaces": [{"pool": "p", "netns": "x"}, {"pool": "q", "netns": "/run/netns/x"}]}})",
     {"server.namespaces[1]: namespace /run/netns/x is already served by server.namespaces[0]; a "
      "namespace has one pair of keys and so one pool: name it once"}},
    {"vips_that_only_seem_double",
     with(R"("vips": [
        {"name": "a", "addresses": ["192.0.2.1"], "ports": [0], "pool": "wbe"},
        {"name": "b", "addresses": ["192.0.2.1"], "ports": ["x"], "pool": "web"}])"),
     {R"(vips[0].pool: there is no pool "wbe"; did you mean "web"?)",
      "vips[0].ports[0]: is 0; give a TCP port, a whole number from 1 to 65535",
      R"(vips[1].ports[0]: is the string "x"; give a TCP port, a whole number from 1 to 65535)"}},
    {"namespaces_that_only_seem_double",
     with(R"("server": {"namespaces": [{"pool": "web", "netns": ""}, {"pool": "web", "netns": 1},
                                      {"pool": "web"}]})"),
     {R"(server.namespaces[0].netns: "" is no namespace; give a name under /run/netns (as `ip netns` shows it) or an absolute path of a namespace file)",
      "server.namespaces[1].netns: is 1; give a string, a name under /run/netns (as `ip netns` "
      "shows it) or an absolute path of a namespace file"}},
    {"namespace_name",
     with(R"("server": {"namespaces": [{"pool": "web", "netns": "a/b"}]})"),
     {R"(server.namespaces[0].netns: "a/b" is no namespace; give a name under /run/netns (as `ip netns` shows it) or an absolute path of a namespace file)"}},
    {"server_empty",
     with(R"("server": {"manage_sysctl": 1})"),
     {R"(server: has no "namespaces"; give the network namespaces to serve, such as [{"pool": "web"}])",
      "server.manage_sysctl: is 1; give true or false"}},
    {"listen",
     with(R"("http": {"listen": "9413"})"),
     {R"(http.listen: "9413" is no place to listen; give an address and a port (0 = any free one), such as "127.0.0.1:9413" or "[::1]:9413", or "unix:" and an absolute path of at most 107 characters)"}},
    {"listen_port",
     with(R"("http": {"listen": "127.0.0.1:70000"})"),
     {R"(http.listen: "127.0.0.1:70000" is no place to listen; give an address and a port (0 = any free one), such as "127.0.0.1:9413" or "[::1]:9413", or "unix:" and an absolute path of at most 107 characters)"}},
    {"socket",
     with(R"("socket": "tfod.sock")"),
     {R"(socket: "tfod.sock" is no such path; give an absolute path of at most 107 characters)"}},
    {"instance",
     with(R"("instance": "../x")"),
     {R"(instance: "../x" is no name; give a string of 1 to 63 characters: letters, digits, '.', '_', ':' and '-', beginning with a letter or digit)"}},
};

class BadConfig : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadConfig, SaysEverythingThatIsWrong) {
  EXPECT_THAT(errors_of(parse_config(GetParam().text, "f")), ElementsAreArray(GetParam().errors));
}

INSTANTIATE_TEST_SUITE_P(Table, BadConfig, ::testing::ValuesIn(kBad),
                         [](const auto& test) { return test.param.name; });

TEST(Config, ReadsADerivedPool) {
  const auto result = parse_config(
      R"({"state_directory": "/st", "interfaces": [{"name": "e"}],
          "pools": {"p": {"store": "derived", "secret": "/s", "max_skew": "500ms"},
                    "q": {"store": "derived", "secret": "/s", "interval": "10s", "max_skew": 0}}})",
      "f");
  ASSERT_TRUE(result.has_value()) << result.error().front().text();
  EXPECT_EQ(result->pools[0].store, StoreKind::kDerived);
  EXPECT_EQ(result->pools[0].secret, "/s");
  EXPECT_EQ(result->pools[0].file, "/st/p.derived");
  EXPECT_EQ(result->pools[0].max_skew, std::chrono::milliseconds(500));
  EXPECT_EQ(result->pools[0].not_after, hours(72));
  EXPECT_EQ(result->pools[1].interval, seconds(10));
  EXPECT_EQ(result->pools[1].max_skew, std::chrono::milliseconds(0));
}

TEST(Config, SyntaxErrorsNameFileLineAndColumn) {
  const auto texts = errors_of(parse_config("{\n  \"instance\": \"a\",\n  oops\n}", "/etc/t.json"));
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_THAT(texts[0], ::testing::StartsWith("/etc/t.json:3:3: syntax error"));
}

TEST(Config, TruncatedTextIsASyntaxErrorAtItsEnd) {
  const std::string whole = kWhole;
  for (size_t length = 1; length + 1 < whole.size(); ++length) {
    EXPECT_FALSE(parse_config(whole.substr(0, length), "f")) << length;
  }
}

TEST(Config, TooManyAreRefused) {
  std::string ports;
  for (size_t i = 1; i <= kMaxVipPorts + 1; ++i) ports += (i > 1 ? "," : "") + std::to_string(i);
  const auto texts = errors_of(parse_config(with_vip(kGood + ", \"ports\": [" + ports + "]"), "f"));
  EXPECT_THAT(texts, ::testing::ElementsAre("vips[0].ports: has 257 elements; give at most 256"));
}

TEST(Config, FilesThatCannotBeReadAreNamed) {
  const auto missing = errors_of(load_config("/nonexistent/tfod.json"));
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_THAT(missing[0], HasSubstr("/nonexistent/tfod.json: No such file or directory"));
  const auto directory = errors_of(load_config("/"));
  ASSERT_EQ(directory.size(), 1u);
  EXPECT_THAT(directory[0], HasSubstr("/: is not a regular file"));
}

TEST(Duration, TextFormsGoBothWays) {
  EXPECT_EQ(parse_duration("24h"), hours(24));
  EXPECT_EQ(parse_duration("90s"), seconds(90));
  EXPECT_EQ(parse_duration("1d12h"), hours(36));
  EXPECT_EQ(parse_duration("0"), seconds(0));
  EXPECT_EQ(parse_duration("0s"), seconds(0));
  for (const char* bad : {"", "s", "1", "-1s", "1.5h", "1h1h", "1s1h", "1 h", "1w",
                          "99999999999999999999s", "9999999999999d"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
  for (const seconds value :
       {seconds(0), seconds(90), seconds(86400), seconds(5400), seconds(604800)}) {
    EXPECT_EQ(parse_duration(duration_text(value)), value);
  }
  EXPECT_EQ(duration_text(hours(24)), "24h");
  EXPECT_EQ(duration_text(hours(24 * 7)), "7d");
}

}  // namespace
}  // namespace tfo::config_test
