// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/fake_daemon.h"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using tfo::test::FakeDaemon;
using tfo::test::Ran;

json alert_of(const std::string& id) {
  return {{"id", id},
          {"rule", "vip"},
          {"severity", "critical"},
          {"summary", "SYN-ACKs come to a VIP"},
          {"raised_at", 1700000000},
          {"first_seen", 1699999940},
          {"rate", 5123.4},
          {"peak_rate", 9000},
          {"packets", 70000},
          {"bytes", nullptr},
          {"sources", 321},
          {"updated_at", 1700000010},
          {"evidence", {{"ports", {443}}, {"text", "a\u001b[2Jb"}}}};
}

TEST(TfoctlAlert, ListShowsWhatIsRaisedAndWhatIsNotSeen) {
  FakeDaemon daemon;
  daemon.answer("alert-list", {{"alerts", {alert_of("vip:web")}},
                               {"crowded_out", {{"warning", 5}, {"critical", 2}}},
                               {"untracked", 9},
                               {"waiting",
                                {{{"rule", "tracked"},
                                  {"subject", "192.0.2.1"},
                                  {"readiness", "not_warm"},
                                  {"why", "watched for 10 s of 137"}}}},
                               {"waiting_total", 30},
                               {"alertmanager",
                                {{{"url", "http://a:9093"}, {"error", "refused"}, {"failures", 4}},
                                 {{"url", "http://b:9093"}, {"error", ""}, {"failures", 0}}}}});
  const Ran ran = daemon.run({"alert", "list"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  for (const char* text : {"vip:web", "critical", "2023-11-14 22:13:20Z", "5123/s", "70000", "321",
                           "and 7 more, 2 of them critical", "9 subjects are not watched",
                           "not_warm", "watched for 10 s of 137", "and 29 more",
                           "Alertmanager http://a:9093 takes nothing: refused (4 failures)"}) {
    EXPECT_THAT(ran.out, HasSubstr(text));
  }
  EXPECT_THAT(ran.out, Not(HasSubstr("http://b")));
  EXPECT_EQ(json::parse(daemon.run({"-j", "alert", "list"}).out)["untracked"], 9);
  daemon.answer("alert-list", {{"alerts", json::array()}});
  EXPECT_EQ(daemon.run({"alert", "list"}).out, "no alert is raised\n");
}

TEST(TfoctlAlert, ShowHasTheEvidence) {
  FakeDaemon daemon;
  daemon.answer("alert-show", alert_of("vip:web"));
  const Ran ran = daemon.run({"alert", "show", "vip:web"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(daemon.request("alert-show")["id"], "vip:web");
  EXPECT_THAT(ran.out, AllOf(HasSubstr("\"ports\""), HasSubstr("2023-11-14 22:12:20Z"),
                             Not(HasSubstr("bytes")), Not(HasSubstr("\033"))));
  EXPECT_EQ(json::parse(daemon.run({"-j", "alert", "show", "vip:web"}).out)["packets"], 70000);
  json cleared = alert_of("vip:web");
  cleared["cleared"] = {{"at", 1700000060}, {"why", "calm again"}};
  daemon.answer("alert-show", cleared);
  EXPECT_THAT(daemon.run({"alert", "show", "vip:web"}).out,
              HasSubstr("2023-11-14 22:14:20Z, calm again"));
}

TEST(TfoctlAlert, ShowOfNothingIsNo) {
  FakeDaemon daemon;
  daemon.answer("alert-show", nullptr);
  const Ran ran = daemon.run({"alert", "show", "vip:dns"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("no alert vip:dns is raised"));
  EXPECT_EQ(daemon.run({"-j", "alert", "show", "vip:dns"}).code, 1);
  EXPECT_EQ(daemon.run({"alert", "show"}).code, 2);
  EXPECT_EQ(daemon.run({"alert"}).code, 2);
  daemon.refuse("alert-list", "no");
  EXPECT_EQ(daemon.run({"alert", "list"}).code, 2);
}

/// Answers as a tfod that has `changes` numbered from 1, as tfo::alert::Keeper does.
FakeDaemon::Answer keeper(const json& changes, int run) {
  return [changes, run](const json& request) {
    const bool same = request.contains("run") && request["run"] == run;
    size_t after =
        request.contains("after") ? (same ? request["after"].get<size_t>() : 0) : changes.size();
    json list = json::array();
    for (; after < changes.size(); ++after) list.push_back(changes[after]);
    return FakeDaemon::good(
        {{"run", run}, {"seq", changes.size()}, {"missed", 0}, {"changes", list}});
  };
}

TEST(TfoctlAlert, FollowPrintsWhatIsNew) {
  FakeDaemon daemon;
  const json raised = {{"what", "raised"}, {"at", 1700000000}, {"alert", alert_of("vip:web")}};
  const json worse = {
      {"what", "severity"}, {"at", 1700000010}, {"was", "warning"}, {"alert", alert_of("vip:web")}};
  const json over = {{"what", "cleared"},
                     {"at", 1700000020},
                     {"why", "calm again"},
                     {"alert", alert_of("vip:web")}};
  size_t asked = 0;
  // The first answer only tells where it stands; then tfod goes on, is away, and starts again.
  daemon.ask("alert-changes", [&](const json& request) {
    ++asked;
    if (asked == 1) return keeper(json::array({raised}), 1)(request);
    if (asked < 4) return keeper(json::array({raised, worse}), 1)(request);
    if (asked < 6) return std::string();
    return keeper(json::array({over}), 2)(request);
  });
  const Ran ran = daemon.run({"alert", "follow", "--interval", "0.01", "--count", "2"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "2023-11-14 22:13:30Z  severity  critical  vip:web was warning; 5123/s\n"
            "2023-11-14 22:13:40Z  cleared   critical  vip:web: calm again; 5123/s\n");
  EXPECT_EQ(ran.err, "tfoctl: tfod does not answer; waiting for it\ntfoctl: tfod answers again\n");
  asked = 0;
  const Ran lines = daemon.run({"-j", "alert", "follow", "--interval", "0.01", "--count", "2"});
  std::istringstream stream(lines.out);
  std::string line;
  std::vector<std::string> what;
  while (std::getline(stream, line)) what.push_back(json::parse(line)["what"]);
  EXPECT_EQ(what, (std::vector<std::string>{"severity", "cleared"}));
}

TEST(TfoctlAlert, FollowNeedsATfodToBeginWith) {
  const Ran ran = tfo::test::run_tfoctl({"--socket", "/nonexistent/sock", "alert", "follow"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("no tfod listens"));
}

}  // namespace
