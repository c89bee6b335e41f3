// SPDX-License-Identifier: BSD-2-Clause
// The section alerts.
#include <fmt/format.h>

#include <algorithm>

#include "loader/alert/alertmanager.h"
#include "loader/config_parser.h"

namespace tfo {
namespace {

using alert::Feed;
using alert::Level;
using alert::Rule;
using std::chrono::seconds;

constexpr seconds kHour{3600};
constexpr seconds kDay{86400};
constexpr double kMaxRate = 1e9;  // a second
constexpr int64_t kMaxCount = 1'000'000'000;
constexpr size_t kMaxPeers = 16;
constexpr size_t kMaxArguments = 32;
constexpr seconds kMaxResend{600};
constexpr seconds kMinExpires{10};
constexpr int kResends = 3;  // an alert lives through one post that is lost, and one that is late

/// Is anything asked? A level that asks nothing would always be met.
bool asks(const Level& level) {
  return level.rate > 0 || level.volume > 0 || level.sources > 0 || level.share > 0 ||
         level.saturated;
}

void counted_fields(ConfigObject& object, Level& level) {
  if (const auto field = object.optional("rate")) {
    level.rate = field->number(0, kMaxRate, "packets a second").value_or(level.rate);
  }
  if (const auto field = object.optional("window")) {
    level.window = field->duration(seconds{1}, kHour, false).value_or(level.window);
  }
  if (const auto field = object.optional("volume")) {
    level.volume = static_cast<uint64_t>(field->integer(0, kMaxCount, "packets in the window")
                                             .value_or(static_cast<int64_t>(level.volume)));
  }
  if (const auto field = object.optional("sources")) {
    level.sources = static_cast<uint64_t>(field->integer(0, kMaxCount, "distinct sources")
                                              .value_or(static_cast<int64_t>(level.sources)));
  }
  if (const auto field = object.optional("few_rate")) {
    level.few_rate = field->number(0, kMaxRate, "packets a second").value_or(level.few_rate);
  }
  if (const auto field = object.optional("share")) {
    level.share = field->number(0, 1, "a part of the whole").value_or(level.share);
  }
  if (const auto field = object.optional("baseline")) {
    level.baseline =
        field->number(0, 1'000'000, "times the median of 24 h").value_or(level.baseline);
  }
}

std::vector<std::string> kinds_of(const ConfigNode& field) {
  if (field.is_empty_array()) field.complain("is empty", "name a kind, or leave \"kinds\" out");
  std::vector<std::string> out;
  const std::vector<std::string_view> kinds = alert::rule_kinds();
  for (const ConfigNode& item : field.items(kinds.size(), R"(such as ["reflection"])")) {
    if (const auto kind = item.choice(kinds)) out.emplace_back(kinds.at(*kind));
  }
  return out;
}

}  // namespace

void ConfigParser::alerts(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"alertmanager": {"urls": ["http://10.0.0.9:9093"]}})");
  if (const auto field = object.optional("rules")) alert_rules(*field);
  if (const auto field = object.optional("alertmanager")) alertmanager(*field);
  if (const auto field = object.optional("command")) alert_command(*field);
  object.finish();
}

void ConfigParser::alert_rules(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"vip": {"warning": {"rate": 100}}})");
  std::vector<Rule> kept;
  for (Rule rule : alert::default_rules()) {
    const auto field = object.optional(rule.id);
    if (field && field->is_word("off")) continue;
    if (field) alert_rule(*field, rule);
    kept.push_back(rule);
  }
  object.finish();
  config_.alerts.rules = std::move(kept);
}

void ConfigParser::alert_rule(const ConfigNode& node, Rule& rule) {
  ConfigObject object(node, R"(such as {"warning": {"hold": "5m"}, "critical": "off"}, or "off")");
  for (const Severity severity : alert::kAllSeverities) {
    if (const auto field = object.optional(to_string(severity))) {
      alert_level(*field, severity, rule);
    }
  }
  if (const auto field = object.optional("clear_after")) {
    rule.clear_after = field->duration(seconds{1}, kDay, false).value_or(rule.clear_after);
  }
  if (const auto field = object.optional("warm_up")) {
    rule.warm_up = field->duration(seconds{1}, kDay, true).value_or(rule.warm_up);
  }
  object.finish();
  const auto& [warning, critical] = rule.levels;
  if (warning && critical && critical->rate > 0 && critical->rate < warning->rate) {
    node.complain(fmt::format("is critical from a rate of {} and a warning from {}", critical->rate,
                              warning->rate),
                  "give \"critical\" the higher rate");
  }
  const bool smaller = warning && critical &&
                       ((critical->volume > 0 && critical->volume < warning->volume) ||
                        (critical->share > 0 && critical->share < warning->share));
  if (smaller) {
    node.complain("is critical from a smaller volume or share than it is a warning from",
                  "give \"critical\" the larger one");
  }
}

void ConfigParser::alert_level(const ConfigNode& node, Severity severity, Rule& rule) {
  std::optional<Level>& place = rule.levels[static_cast<size_t>(severity)];
  if (node.is_word("off")) {
    place.reset();
    return;
  }
  const bool counted = rule.feed == Feed::kCounters;
  ConfigObject object(node, counted ? R"(such as {"rate": 100, "hold": "1m"}, or "off")"
                                    : R"(such as {"hold": "5m"}, or "off")");
  Level level = place.value_or(Level());
  if (counted) counted_fields(object, level);
  if (const auto field = object.optional("hold")) {
    level.hold = field->duration(seconds{1}, kDay, true).value_or(level.hold);
  }
  object.finish();
  if (object.valid() && counted && !asks(level)) {
    node.complain("asks for nothing, and would be met always",
                  "give a \"rate\", \"volume\", \"sources\" or \"share\" above 0, or \"off\"");
  }
  place = level;
}

void ConfigParser::alertmanager(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"urls": ["http://10.0.0.9:9093"]})");
  alert::AlertmanagerConfig out;
  if (const auto field = object.required("urls", R"(every peer, ["http://10.0.0.9:9093"])")) {
    if (field->is_empty_array()) field->complain("is empty", "give the address of each peer");
    for (const ConfigNode& item : field->items(kMaxPeers, R"(such as ["http://10.0.0.9:9093"])")) {
      const auto text = item.text(R"(such as "http://10.0.0.9:9093")");
      const auto url = text ? alert::alertmanager_url(*text) : Result<std::string>(std::string());
      if (!url) item.complain(url.error().message, "give such as \"http://10.0.0.9:9093\"");
      if (!text || !url) continue;
      if (std::ranges::find(out.urls, *url) != out.urls.end()) {
        item.complain("is given twice", "remove one of the two");
      }
      out.urls.push_back(*url);
    }
  }
  const std::pair<const char*, std::string*> files[] = {
      {"ca_file", &out.ca_file}, {"cert_file", &out.cert_file}, {"key_file", &out.key_file}};
  for (const auto& [name, place] : files) {
    if (const auto field = object.optional(name)) {
      *place = absolute_path(*field, kMostPath).value_or("");
    }
  }
  if (const auto field = object.optional("kinds")) out.kinds = kinds_of(*field);
  if (const auto field = object.optional("runbooks")) {
    const char* right = R"(where they are served, such as "https://git.example.net/runbooks")";
    out.runbooks = field->text(right).value_or(out.runbooks);
    while (out.runbooks.ends_with('/')) out.runbooks.pop_back();
    if (out.runbooks.empty()) field->complain("is no place", std::string("give ") + right);
  }
  if (const auto field = object.optional("resend")) {
    out.resend = field->duration(seconds{1}, kMaxResend, false).value_or(out.resend);
  }
  if (const auto field = object.optional("expires")) {
    out.expires = field->duration(kMinExpires, kHour, false).value_or(out.expires);
  }
  object.finish();
  if (out.cert_file.empty() != out.key_file.empty()) {
    node.complain("has one of \"cert_file\" and \"key_file\"", "give both, or none");
  }
  if (out.expires < kResends * out.resend) {
    node.complain(fmt::format("has an \"expires\" of {} s with a \"resend\" of {} s",
                              out.expires.count(), out.resend.count()),
                  fmt::format("give an \"expires\" of at least {} times that", kResends));
  }
  config_.alerts.alertmanager = std::move(out);
}

void ConfigParser::alert_command(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"path": "/usr/local/bin/page"})");
  alert::CommandConfig out;
  if (const auto field = object.required("path", "the absolute path of a program")) {
    out.path = absolute_path(*field, kMostPath).value_or("");
  }
  if (const auto field = object.optional("arguments")) {
    for (const ConfigNode& item : field->items(kMaxArguments, R"(such as ["--team", "net"])")) {
      const auto text = item.text("an argument of the program");
      if (text && text->find('\0') != std::string::npos) {
        item.complain("holds a NUL", "an argument ends there: remove it");
      }
      if (text && text->size() > kMostPath) {
        item.complain(fmt::format("has {} characters", text->size()),
                      fmt::format("give at most {}", kMostPath));
      }
      if (text) out.arguments.push_back(*text);
    }
  }
  if (const auto field = object.optional("timeout")) {
    out.timeout = field->duration(seconds{1}, seconds{300}, false).value_or(out.timeout);
  }
  object.finish();
  config_.alerts.command = std::move(out);
}

}  // namespace tfo
