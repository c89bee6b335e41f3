// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl key audit` up to the first packet: whom its words name, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/tfoctl_run.h"
#include "tools/audit_targets.h"

namespace tfo {
namespace {

using nlohmann::json;
using test::Ran;
using test::run_tfoctl;
using ::testing::HasSubstr;

std::vector<std::string> words_of(const std::vector<audit::Target>& targets) {
  std::vector<std::string> words;
  words.reserve(targets.size());
  for (const audit::Target& one : targets) {
    words.push_back(to_string(one.server) + " " + std::to_string(one.port) +
                    (one.via ? " via " + to_string(*one.via) : ""));
  }
  return words;
}

TEST(TfoctlAudit, ServersOnTheirOwnPortOrOnEachGiven) {
  AuditArgs args;
  args.servers = {"192.0.2.1", "192.0.2.2:8080", "[2001:db8::1]:1", "2001:db8::2"};
  const auto targets = audit_targets(args, {80, 443});
  ASSERT_TRUE(targets) << targets.error().message;
  EXPECT_EQ(words_of(*targets),
            (std::vector<std::string>{"192.0.2.1 80", "192.0.2.1 443", "192.0.2.2 8080",
                                      "2001:db8::1 1", "2001:db8::2 80", "2001:db8::2 443"}));
}

TEST(TfoctlAudit, EachVipAtTheNextHopsOfItsFamily) {
  AuditArgs args;
  args.vips = {"192.0.2.10", "[2001:db8::10]:443"};
  args.vias = {"203.0.113.1", "2001:db8:2::1", "203.0.113.2"};
  const auto targets = audit_targets(args, {80});
  ASSERT_TRUE(targets) << targets.error().message;
  EXPECT_EQ(words_of(*targets), (std::vector<std::string>{"192.0.2.10 80 via 203.0.113.1",
                                                          "192.0.2.10 80 via 203.0.113.2",
                                                          "2001:db8::10 443 via 2001:db8:2::1"}));
}

TEST(TfoctlAudit, PortsComeFromThePoolsVips) {
  const json web = {{"pool", "web"}, {"ports", {80, 443}}};
  const json more = {{"pool", "web"}, {"ports", {443, 8443}}};
  const json any = {{"pool", "web"}, {"ports", json::array()}};
  const json mail = {{"pool", "mail"}, {"ports", {25}}};
  using Ports = std::vector<uint16_t>;
  EXPECT_EQ(ports_of_pool({{"vips", json::array({web, mail, more})}}, "web"),
            (Ports{80, 443, 8443}));
  EXPECT_EQ(ports_of_pool({{"vips", json::array({web, mail})}}, "mail"), (Ports{25}));
  EXPECT_EQ(ports_of_pool({{"vips", json::array({web, any})}}, "web"), Ports{});
  EXPECT_EQ(ports_of_pool(json::object(), "web"), Ports{});
}

TEST(TfoctlAudit, WrongUsageIsTwoAndSaysWhatToGive) {
  using Case = std::pair<std::vector<std::string>, const char*>;
  for (const auto& [more, said] : std::vector<Case>{
           {{}, "Give SERVER"},
           {{"web1"}, "SERVER 'web1'"},
           {{"192.0.2.1"}, "--port N"},
           {{"--vip", "192.0.2.1", "--port", "80"}, "--via NEXTHOP"},
           {{"--via", "192.0.2.1", "--port", "80"}, "--vip ADDRESS"},
           {{"--vip", "192.0.2.1", "--via", "2001:db8::1", "--port", "80"}, "IPv4 neighbour"},
           {{"--vip", "192.0.2.1", "--via", "eth0", "--port", "80"}, "--via 'eth0'"},
           {{"192.0.2.1", "--port", "0"}, "--port"},
           {{"192.0.2.1", "--port", "https"}, "--port"},
           {{"192.0.2.1:80", "--source", "eth0"}, "--source 'eth0'"},
           {{"192.0.2.1:80", "--source", "::1", "--source", "::2"}, "two IPv6 addresses"},
           {{"192.0.2.1:80", "--tries", "0"}, "--tries"},
           {{"192.0.2.1:80", "--ttl", "256"}, "--ttl"},
           {{"192.0.2.1:80", "--pool", "web"}, "give one of them"},
       }) {
    std::vector<std::string> words = {"key", "audit", "--key",
                                      "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = run_tfoctl(words);
    EXPECT_EQ(ran.code, 2) << said;
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr(said));
    EXPECT_EQ(ran.err.find("a1a1a1a1"), std::string::npos);
  }
}

TEST(TfoctlAudit, WithoutADaemonOrKeysItSaysWhereItLooked) {
  const Ran ran = run_tfoctl({"--socket", "/nonexistent/s", "key", "audit", "192.0.2.1:80"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("/nonexistent/s"));
}

TEST(TfoctlAudit, HelpSaysWhatItSendsAndWhatTheExitCodesAre) {
  const Ran ran = run_tfoctl({"key", "audit", "--help"});
  for (const char* part :
       {"one SYN without data", "--via", "Exit code 0", "direct server return"}) {
    EXPECT_THAT(ran.out, HasSubstr(part));
  }
}

}  // namespace
}  // namespace tfo
