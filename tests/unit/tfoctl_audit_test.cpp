// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl key audit` up to the first packet: whom its words name, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/tfoctl_run.h"
#include "tools/audit_report.h"
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

/// Two servers, one with the key before, and one that nobody hears of, in the middle of a rotation.
AuditReport made_up_report() {
  const audit::KeyName current = {"00000000000000aa", "11112222", TFO_PLACE_CURRENT};
  const audit::KeyName previous = {"00000000000000bb", "33334444", TFO_PLACE_PREVIOUS};
  AuditReport report;
  for (const char* server : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    audit::Answer answer;
    answer.target = {*audit::parse_address(server), 443, std::nullopt};
    answer.source = *audit::parse_address("198.51.100.1");
    answer.sent = 1;
    report.answers.push_back(answer);
  }
  for (const size_t i : {0U, 1U}) {
    report.answers[i].outcome = audit::Outcome::cookie;
    report.answers[i].cookie = {1, 2, 3, 4, 5, 6, 7, 0xff};
    report.answers[i].option_kind = 34;
  }
  report.answers[1].target.via = *audit::parse_address("203.0.113.2");
  report.match = {"web", "minting", {current, previous}, {current, previous, std::nullopt}};
  return report;
}

TEST(TfoctlAudit, OneDocumentWithARowForEachServer) {
  std::istringstream in;
  std::ostringstream out, err;
  Context context{in, out, err};
  print_audit_json(context, made_up_report());
  const json document = json::parse(out.str());
  EXPECT_EQ(document["pool"], "web");
  EXPECT_EQ(document["phase"], "minting");
  EXPECT_EQ(document["current"], "11112222");
  EXPECT_EQ(document["in_step"], false);
  EXPECT_THAT(document["note"].get<std::string>(), HasSubstr("rotation"));
  const json& rows = document["servers"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0]["verdict"], "current");
  EXPECT_EQ(rows[0]["cookie"], "01020304050607ff");
  EXPECT_EQ(rows[0]["via"], nullptr);
  EXPECT_EQ(rows[1]["verdict"], "previous");
  EXPECT_EQ(rows[1]["stale"], true);
  EXPECT_EQ(rows[1]["via"], "203.0.113.2");
  EXPECT_EQ(rows[1]["generation"],
            json({{"id", "00000000000000bb"}, {"fingerprint", "33334444"}, {"place", "previous"}}));
  EXPECT_EQ(rows[2]["verdict"], "no_answer");
  EXPECT_EQ(rows[2]["generation"], nullptr);
}

TEST(TfoctlAudit, TheTableSaysSoWhenKeysAreChanging) {
  AuditReport report = made_up_report();
  const auto text_of_it = [&] {
    std::istringstream in;
    std::ostringstream out, err;
    Context context{in, out, err};
    print_audit(context, report);
    return out.str();
  };
  EXPECT_THAT(text_of_it(), HasSubstr("a rotation of the pool is under way (minting)"));
  EXPECT_THAT(text_of_it(), HasSubstr("1 of 3 in step with pool web (current key 11112222)"));
  report.match.phase = "steady";
  EXPECT_THAT(text_of_it(), testing::Not(HasSubstr("Note:")));
  report.ring_changed = true;
  EXPECT_THAT(text_of_it(), HasSubstr("keys changed while the servers were asked"));
}

TEST(TfoctlAudit, ADerivedPoolIsNeverSteadyAndTfodMayBeTheOneThatIsWrong) {
  AuditReport report = made_up_report();
  report.match.phase = "prepare";
  report.match.store = "derived";
  const auto printed = [&](bool as_json) {
    std::istringstream in;
    std::ostringstream out, err;
    Context context{in, out, err};
    as_json ? print_audit_json(context, report) : print_audit(context, report);
    return out.str();
  };
  EXPECT_THAT(printed(false), testing::Not(HasSubstr("Note:")));
  EXPECT_THAT(printed(false), testing::Not(HasSubstr("Caution:")));
  json document = json::parse(printed(true));
  EXPECT_EQ(document["note"], nullptr);
  EXPECT_EQ(document["caution"], nullptr);
  report.match.servers_change_for = 7;
  report.match.doubts = {"clock_unsure (no NTP)", "no_key (all ended)"};
  EXPECT_THAT(printed(false), HasSubstr("ask again in 7 s"));
  EXPECT_THAT(printed(false), HasSubstr("Caution: this node's own keys may be the stale ones: "
                                        "clock_unsure (no NTP); no_key (all ended)."));
  document = json::parse(printed(true));
  EXPECT_THAT(document["note"].get<std::string>(), HasSubstr("7 s"));
  EXPECT_THAT(document["caution"].get<std::string>(), HasSubstr("clock_unsure (no NTP)"));
}

}  // namespace
}  // namespace tfo
