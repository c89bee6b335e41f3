// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "loader/config.h"

namespace tfo {
namespace {

using alert::Level;
using alert::Rule;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ConfigResult parse(const std::string& alerts) {
  return parse_config(R"({"interfaces": [{"name": "eth0"}], "alerts": )" + alerts + "}", "f");
}

std::vector<std::string> errors_of(const std::string& alerts) {
  std::vector<std::string> texts;
  const auto result = parse(alerts);
  if (result) return texts;
  for (const ConfigError& error : result.error()) texts.push_back(error.text());
  return texts;
}

Rule rule_of(const ConfigResult& config, std::string_view id) {
  if (!config) return {};
  const auto found = std::ranges::find(config->alerts.rules, id, &Rule::id);
  return found == config->alerts.rules.end() ? Rule() : *found;
}

TEST(ConfigAlerts, DefaultsAreTheDocumentedOnes) {
  const auto config = parse("{}");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->alerts.rules, alert::default_rules());
  EXPECT_THAT(config->alerts.alertmanager.urls, IsEmpty());
  EXPECT_EQ(config->alerts.command.path, "");
  EXPECT_EQ(config->alerts_file(), "/var/lib/tfoguard/default.alerts");
  const auto level = [&](std::string_view id, Severity severity) {
    return rule_of(config, id).levels.at(static_cast<size_t>(severity));
  };
  constexpr Severity kWarning = Severity::kWarning;
  constexpr Severity kCritical = Severity::kCritical;
  constexpr seconds kThree{3};
  EXPECT_EQ(level("vip", kWarning),
            (Level{.rate = 50, .hold = minutes(1), .sources = 20, .few_rate = 500}));
  EXPECT_EQ(level("vip", kCritical), (Level{.rate = 5000, .window = kThree, .hold = kThree}));
  EXPECT_EQ(level("vip_slow", kWarning),
            (Level{.rate = 1, .window = minutes(10), .volume = 600, .sources = 50, .baseline = 5}));
  EXPECT_EQ(level("vip_slow", kCritical), std::nullopt);
  EXPECT_EQ(level("tracked", kWarning), (Level{.rate = 100, .hold = seconds(30), .share = 0.05}));
  EXPECT_EQ(level("tracked", kCritical), (Level{.rate = 10000, .window = kThree, .hold = kThree}));
  EXPECT_EQ(level("carpet", kWarning), (Level{.rate = 200, .hold = seconds(30), .sources = 16}));
  EXPECT_EQ(level("carpet", kCritical),
            (Level{.rate = 20000, .window = kThree, .hold = kThree, .sources = 16}));
  EXPECT_EQ(level("asymmetric", kWarning),
            (Level{.rate = 500, .hold = minutes(1), .share = 0.2, .baseline = 5}));
  EXPECT_EQ(level("asymmetric", kCritical),
            (Level{.rate = 20000, .hold = seconds(30), .baseline = 5}));
  EXPECT_EQ(level("reflector", kWarning),
            (Level{.window = minutes(1), .volume = 50, .share = 0.2}));
  EXPECT_EQ(level("reflector", kCritical),
            (Level{.window = minutes(1), .volume = 500, .share = 0.6}));
  EXPECT_EQ(level("invalid_cookie_ratio", kWarning),
            (Level{.rate = 20, .hold = minutes(5), .share = 0.1, .baseline = 1}));
  EXPECT_EQ(level("key_drift", kCritical), (Level{.hold = minutes(2)}));
  for (const Rule& rule : config->alerts.rules)
    EXPECT_EQ(rule.clear_after, seconds(120)) << rule.id;
}

TEST(ConfigAlerts, EveryFieldCanBeChangedAlone) {
  const auto config = parse(R"({"rules": {
    "vip": {"warning": {"rate": 12.5}, "critical": "off", "clear_after": "5m", "warm_up": "1m"},
    "tracked": {"warning": {"rate": 1, "window": "20s", "hold": "0", "volume": 7, "sources": 3,
                            "few_rate": 9, "share": 0.5, "baseline": 2.5}},
    "vip_slow": {"critical": {"volume": 6000, "window": "10m"}},
    "key_drift": {"critical": {"hold": "10m"}, "warning": {"hold": "1s"}},
    "carpet": "off"}})");
  ASSERT_TRUE(config);
  const Rule vip = rule_of(config, "vip");
  EXPECT_EQ(vip.levels[0],
            (Level{.rate = 12.5, .hold = minutes(1), .sources = 20, .few_rate = 500}));
  EXPECT_EQ(vip.levels[1], std::nullopt);
  EXPECT_EQ(vip.clear_after, minutes(5));
  EXPECT_EQ(vip.warm_up, minutes(1));
  EXPECT_EQ(rule_of(config, "tracked").levels[0], (Level{.rate = 1,
                                                         .window = seconds(20),
                                                         .volume = 7,
                                                         .sources = 3,
                                                         .few_rate = 9,
                                                         .share = 0.5,
                                                         .baseline = 2.5}));
  EXPECT_EQ(rule_of(config, "vip_slow").levels[1], (Level{.window = minutes(10), .volume = 6000}));
  EXPECT_EQ(rule_of(config, "key_drift").levels[0], (Level{.hold = seconds(1)}));
  EXPECT_EQ(rule_of(config, "carpet").id, "");
  EXPECT_EQ(config->alerts.rules.size(), alert::default_rules().size() - 1);
}

TEST(ConfigAlerts, ReadsWhereAlertsGo) {
  const auto config = parse(R"({
    "alertmanager": {"urls": ["http://10.0.0.1:9093/", "https://am.example/team"],
                     "ca_file": "/etc/ca.pem", "cert_file": "/c.pem", "key_file": "/k.pem",
                     "kinds": ["keys", "server"], "resend": "20s", "expires": "1m",
                     "runbooks": "https://git.example/runbooks/"},
    "command": {"path": "/usr/local/bin/page", "arguments": ["--team", "net"],
                "timeout": "30s"}})");
  ASSERT_TRUE(config);
  EXPECT_THAT(config->alerts.alertmanager.urls,
              ElementsAre("http://10.0.0.1:9093", "https://am.example/team"));
  EXPECT_THAT(config->alerts.alertmanager.kinds, ElementsAre("keys", "server"));
  EXPECT_THAT(alert::AlertmanagerConfig().kinds, ElementsAre("reflection", "guard"));
  EXPECT_EQ(config->alerts.alertmanager.resend, seconds(20));
  EXPECT_EQ(config->alerts.alertmanager.runbooks, "https://git.example/runbooks");
  EXPECT_EQ(config->alerts.alertmanager.expires, minutes(1));
  EXPECT_EQ(alert::AlertmanagerConfig().resend, seconds(45));
  EXPECT_EQ(alert::AlertmanagerConfig().expires, minutes(4));
  EXPECT_EQ(config->alerts.alertmanager.ca_file, "/etc/ca.pem");
  EXPECT_EQ(config->alerts.alertmanager.cert_file, "/c.pem");
  EXPECT_EQ(config->alerts.alertmanager.key_file, "/k.pem");
  EXPECT_EQ(config->alerts.command, (alert::CommandConfig{.path = "/usr/local/bin/page",
                                                          .arguments = {"--team", "net"},
                                                          .timeout = seconds(30)}));
}

TEST(ConfigAlerts, EveryErrorIsSaidAtOnceWithItsPath) {
  EXPECT_THAT(errors_of(R"({"rules": {"vip": {"warning": {"rate": "much", "windw": "5s"}},
                                      "vips": "off", "tracked": "on",
                                      "key_drift": {"critical": {"rate": 5}}},
                            "alertmanager": {"urls": ["10.0.0.1", "http://u:pw@h"]},
                            "command": {"path": "page"}, "sound": 1})"),
              ElementsAre(HasSubstr("alerts.rules.vip.warning.rate: is the string \"much\""),
                          HasSubstr("alerts.rules.vip.warning.windw: is no known field"),
                          HasSubstr("alerts.rules.tracked: is the string \"on\""),
                          HasSubstr("alerts.rules.key_drift.critical.rate: is no known field"),
                          HasSubstr("alerts.rules.vips: is no known field; did you mean \"vip\"?"),
                          HasSubstr("alerts.alertmanager.urls[0]: is no address"),
                          HasSubstr("alerts.alertmanager.urls[1]: holds a user or a password"),
                          HasSubstr("alerts.command.path: \"page\" is no such path"),
                          HasSubstr("alerts.sound: is no known field")));
}

TEST(ConfigAlerts, WhatCannotBeMeantIsRefused) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"rules": {"vip": {"warning": {"rate": 0, "sources": 0}}}})",
       "alerts.rules.vip.warning: asks for nothing"},
      {R"({"rules": {"vip_slow": {"critical": {"hold": "3s"}}}})",
       "alerts.rules.vip_slow.critical: asks for nothing"},
      {R"({"rules": {"vip": {"critical": {"rate": 40}}}})",
       "alerts.rules.vip: is critical from a rate of 40 and a warning from 50"},
      {R"({"rules": {"vip": {"warning": {"share": 1.5}}}})", "alerts.rules.vip.warning.share"},
      {R"({"rules": {"vip": {"warning": {"rate": -1}}}})", "alerts.rules.vip.warning.rate"},
      {R"({"rules": {"vip": {"warning": {"window": "2h"}}}})", "alerts.rules.vip.warning.window"},
      {R"({"rules": {"vip": {"warning": {"window": "0"}}}})", "alerts.rules.vip.warning.window"},
      {R"({"rules": {"vip": {"clear_after": "0"}}})", "alerts.rules.vip.clear_after"},
      {R"({"alertmanager": {"urls": []}})", "alerts.alertmanager.urls: is empty"},
      {R"({"alertmanager": {}})", "alerts.alertmanager: has no \"urls\""},
      {R"({"alertmanager": {"urls": ["http://a", "http://a/"]}})", "is given twice"},
      {R"({"alertmanager": {"urls": ["http://a"], "key_file": "/k"}})", "give both, or none"},
      {R"({"alertmanager": {"urls": ["http://a"], "resend": "81s"}})",
       "alerts.alertmanager: has an \"expires\" of 240 s with a \"resend\" of 81 s"},
      {R"({"alertmanager": {"urls": ["http://a"], "runbooks": "/"}})",
       "alerts.alertmanager.runbooks: is no place"},
      {R"({"alertmanager": {"urls": ["http://a"], "resend": "0"}})", "alerts.alertmanager.resend"},
      {R"({"alertmanager": {"urls": ["http://a"], "resend": "1s", "expires": "9s"}})",
       "alerts.alertmanager.expires"},
      {R"({"alertmanager": {"urls": ["http://a"], "kinds": ["guards"]}})",
       "alerts.alertmanager.kinds[0]: is the string \"guards\"; give \"reflection\", \"cookies\""},
      {R"({"alertmanager": {"urls": ["http://a"], "kinds": []}})",
       "alerts.alertmanager.kinds: is empty"},
      {R"({"rules": {"reflector": {"critical": {"volume": 40}}}})",
       "alerts.rules.reflector: is critical from a smaller volume or share"},
      {R"({"command": {}})", "alerts.command: has no \"path\""},
      {R"({"command": {"path": "/x", "timeout": "1h"}})", "alerts.command.timeout"},
      {R"({"command": {"path": "/x", "arguments": [1]}})", "alerts.command.arguments[0]"},
      {R"([])", "alerts: is an array"},
  };
  for (const auto& [text, error] : wrong) {
    EXPECT_THAT(errors_of(text), ElementsAre(HasSubstr(error))) << text;
  }
}

}  // namespace
}  // namespace tfo
