// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tfo {
namespace {

using nlohmann::json;
using Weight = Finding::Weight;

/// Of so few nothing is concluded.
constexpr uint64_t kEnough = 20;
constexpr double kGoodShare = 0.9;

/// Conditions that are warnings, and yet take Fast Open from somebody.
constexpr std::array<std::string_view, 3> kHurts = {"guard_active", "syn_cookies",
                                                    "secret_replaced"};

uint64_t of(const Tally& tally, SynClass group) {
  return tally.classes[static_cast<size_t>(group)];
}

uint64_t cookies(const Tally& tally) {
  return of(tally, SynClass::kGood) + of(tally, SynClass::kOld) + of(tally, SynClass::kBad);
}

/// Those that reach the servers as such: an old one that was renewed is good there.
uint64_t good_cookies(const Tally& tally) {
  return std::min(of(tally, SynClass::kGood) + tally.actions[TFO_RENEW], cookies(tally));
}

std::string sentence_of(const Condition& condition) {
  for (const ConditionKind& kind : condition_kinds()) {
    if (kind.id == condition.id) return std::string(kind.sentence);
  }
  return condition.id;
}

Finding cause(std::string id, std::string text, std::string more) {
  return {.weight = Weight::kOff,
          .source = "measured",
          .id = std::move(id),
          .text = std::move(text),
          .more = std::move(more)};
}

/// What lets nobody have Fast Open here, whatever else is right.
void find_off(const View& view, std::vector<Finding>& found) {
  const auto attached = [](const InterfaceView& one) {
    return one.mode == "native" || one.mode == "generic";
  };
  if (!view.interfaces.empty() && std::ranges::none_of(view.interfaces, attached)) {
    found.push_back(cause("not_attached", "The XDP program is on no interface",
                          "no SYN is seen here: look at the interfaces below"));
  }
  const auto has_key = [&](const PoolView& pool) {
    return std::ranges::none_of(view.conditions, [&](const Condition& one) {
      return one.id == "no_key" && one.subject == pool.name;
    });
  };
  if (!view.pools.empty() && std::ranges::none_of(view.pools, has_key)) {
    found.push_back(cause("no_key", "No pool has a key that is still valid",
                          "no cookie can be checked or given out"));
  }
  const auto may_serve = [](const NamespaceView& one) {
    return one.server_bit == "on" || one.server_bit == "unmanaged" || one.server_bit == "unknown";
  };
  if (!view.namespaces.empty() && std::ranges::none_of(view.namespaces, may_serve)) {
    found.push_back(cause("servers_off", "This node's servers do not offer Fast Open",
                          fmt::format("their server bit: {}", view.namespaces[0].server_bit)));
  }
}

std::string text_of(const json& object, const char* key) {
  const auto field = object.find(key);
  return field != object.end() && field->is_string() ? field->get<std::string>() : "";
}

void find_alerts(const json& alerts, std::vector<Finding>& found) {
  for (const json& one : alerts) {
    const json raised = one.value("raised_at", json(nullptr));
    const json rate = one.value("rate", json(nullptr));
    found.push_back(
        {.weight = text_of(one, "severity") == "critical" ? Weight::kCritical : Weight::kWarning,
         .source = "alert",
         .id = text_of(one, "rule"),
         .subject = text_of(one, "subject"),
         .text = text_of(one, "summary"),
         .more = rate.is_number() ? fmt::format("{:.0f} a second", rate.get<double>()) : "",
         .since = raised.is_number_integer() ? raised.get<int64_t>() : 0});
  }
}

void find_conditions(const View& view, std::vector<Finding>& found) {
  const std::vector<Finding> alerts = found;
  for (const Condition& one : view.conditions) {
    const bool told = std::ranges::any_of(alerts, [&](const Finding& alert) {
      return alert.id == one.id && (alert.subject == one.subject || alert.subject.empty());
    });
    if (told) continue;
    const bool hurts = std::ranges::find(kHurts, one.id) != kHurts.end();
    found.push_back({.weight = one.severity == Severity::kCritical ? Weight::kCritical
                               : hurts                             ? Weight::kWarning
                                                                   : Weight::kNote,
                     .source = "condition",
                     .id = one.id,
                     .subject = one.subject,
                     .text = sentence_of(one),
                     .more = one.evidence,
                     .since = one.since});
  }
}

/// What the SYNs themselves tell.
void find_measured(const HistoryPoint& recent, std::vector<Finding>& found) {
  const Tally& tally = recent.change;
  const uint64_t all = cookies(tally);
  const uint64_t good = good_cookies(tally);
  if (all >= kEnough && static_cast<double>(good) < kGoodShare * static_cast<double>(all)) {
    found.push_back(
        {.weight = Weight::kWarning,
         .source = "measured",
         .id = "cookies",
         .text = fmt::format("Only {} of the last minute's {} cookies are good", good, all),
         .more = fmt::format("{} under keys that servers gave up, {} under no key",
                             of(tally, SynClass::kOld), of(tally, SynClass::kBad))});
  }
  const uint64_t taken = tally.outcomes[TFO_OUTCOME_ACCEPTED];
  const uint64_t refused = tally.outcomes[TFO_OUTCOME_NOT_ACCEPTED];
  if (refused >= kEnough && refused > taken / 9) {
    found.push_back({.weight = Weight::kWarning,
                     .source = "measured",
                     .id = "not_accepted",
                     .text = fmt::format("Servers did not take the data of {} of the last "
                                         "minute's {} SYNs with a good cookie",
                                         refused, taken + refused),
                     .more = "their keys, their queues or their listeners differ: see "
                             "`tfoctl key audit`"});
  }
}

std::string_view headline(Health health) {
  switch (health) {
    case Health::kWorks:
      return "Fast Open works";
    case Health::kIdle:
      return "Fast Open is ready";
    case Health::kDegraded:
      return "Fast Open is degraded";
    case Health::kOff:
      break;
  }
  return "Fast Open is off";
}

std::string good_words(const Tally& tally) {
  const uint64_t saved = tally.outcomes[TFO_OUTCOME_ACCEPTED];
  const std::string text = fmt::format("{} of the last minute's {} cookies are good",
                                       good_cookies(tally), cookies(tally));
  return saved == 0 ? text + "." : fmt::format("{}, {} round trips saved.", text, saved);
}

std::string idle_words(const View& view, const Tally& tally) {
  if (view.interfaces.empty()) return "Who uses it is not seen without an interface.";
  const uint64_t asked = of(tally, SynClass::kAsks);
  if (asked == 0) return "No client used it in the last minute.";
  return fmt::format("In the last minute clients asked for {} cookies, and none came with one.",
                     asked);
}

std::string worst_words(const std::vector<Finding>& findings) {
  const auto others = std::ranges::count_if(
      findings, [](const Finding& one) { return one.weight != Weight::kNote; });
  const Finding& worst = findings.front();
  std::string text = worst.text;
  if (!worst.subject.empty()) text += " (" + worst.subject + ")";
  if (others > 1) text += fmt::format("; and {} more", others - 1);
  return text + ".";
}

}  // namespace

std::string_view to_string(Health health) {
  constexpr std::array<std::string_view, 4> kWords = {"works", "idle", "degraded", "off"};
  return kWords.at(static_cast<size_t>(health));
}

Verdict judge(const View& view, const json& alerts, const HistoryPoint& recent) {
  Verdict verdict;
  std::vector<Finding>& found = verdict.findings;
  find_off(view, found);
  find_alerts(alerts, found);
  find_conditions(view, found);
  find_measured(recent, found);
  std::ranges::stable_sort(found, {}, &Finding::weight);
  if (!found.empty() && found.front().weight == Weight::kOff) {
    verdict.health = Health::kOff;
  } else if (!found.empty() && found.front().weight != Weight::kNote) {
    verdict.health = Health::kDegraded;
  } else if (of(recent.change, SynClass::kGood) > 0) {
    verdict.health = Health::kWorks;
  }
  verdict.headline = headline(verdict.health);
  verdict.reason = verdict.health == Health::kWorks  ? good_words(recent.change)
                   : verdict.health == Health::kIdle ? idle_words(view, recent.change)
                                                     : worst_words(found);
  return verdict;
}

json verdict_json(const Verdict& verdict) {
  constexpr std::array<std::string_view, 4> kWeights = {"off", "critical", "warning", "note"};
  json findings = json::array();
  for (const Finding& one : verdict.findings) {
    findings.push_back({{"weight", kWeights.at(static_cast<size_t>(one.weight))},
                        {"source", one.source},
                        {"id", one.id},
                        {"subject", one.subject},
                        {"text", one.text},
                        {"more", one.more},
                        {"since", one.since}});
  }
  return {{"health", to_string(verdict.health)},
          {"headline", verdict.headline},
          {"reason", verdict.reason},
          {"sentence", verdict.headline + ": " + verdict.reason},
          {"findings", std::move(findings)}};
}

}  // namespace tfo
