// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/overview.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "loader/guard/report.h"
#include "loader/observe/reason_table.h"
#include "loader/observe/report.h"
#include "loader/observe/verdict.h"

namespace tfo {
namespace {

using nlohmann::json;

json classes_json(const SynClasses& classes) {
  json out = json::object();
  for (size_t i = 0; i < kSynClasses; ++i) out[std::string(kSynClassLabels[i])] = classes[i];
  return out;
}

template <class Counts>
json actions_json(const Counts& counts) {
  json out = json::object();
  for (unsigned i = 0; i < TFO_ACTION_COUNT; ++i) {
    out[std::string(action_label(i))] = static_cast<uint64_t>(counts[i]);
  }
  return out;
}

json tally_json(const Tally& tally) {
  json outcomes = json::object();
  for (unsigned i = 0; i < TFO_OUTCOME_COUNT; ++i) {
    outcomes[std::string(outcome_label(i))] = tally.outcomes[i];
  }
  return {{"classes", classes_json(tally.classes)},
          {"actions", actions_json(tally.actions)},
          {"handshakes", std::move(outcomes)},
          {"unsolicited", tally.unsolicited}};
}

json mean_json(double sum, uint64_t count) {
  return count == 0 ? json(nullptr) : json(sum / static_cast<double>(count));
}

/// By VIP, since those of one are as far away as those of another are not.
json saved_json(const View& view) {
  uint64_t round_trips = 0;
  double saved_ms = 0;
  for (const VipCounters& vip : view.counters.vips) {
    uint64_t timed = 0;
    for (const __u64 count : vip.guard.rtt) timed += count;
    const uint64_t accepted = vip.guard.outcome[TFO_OUTCOME_ACCEPTED];
    round_trips += accepted;
    if (timed == 0) continue;
    saved_ms += ticks_seconds(vip.guard.rtt_ticks) * 1000 * static_cast<double>(accepted) /
                static_cast<double>(timed);
  }
  const bool measured = std::ranges::any_of(view.guard, &GuardVipView::on);
  const Tally all = tally_of(view);
  return {{"round_trips", round_trips},
          {"handshake_ms", mean_json(all.handshake_ms, all.timed)},
          {"saved_ms", all.timed == 0 ? json(nullptr) : json(saved_ms)},
          {"measured", measured}};
}

json vip_json(const VipCounters& counted, const VipBrief* brief, const GuardVipView* guard) {
  uint64_t timed = 0;
  for (const __u64 count : counted.guard.rtt) timed += count;
  const double sum_ms = ticks_seconds(counted.guard.rtt_ticks) * 1000;
  json out = {{"name", counted.name},
              {"classes", classes_json(syn_classes(counted.counters))},
              {"actions", actions_json(counted.counters.action)},
              {"handshakes", outcomes_json(counted.guard)},
              {"handshake_ms", mean_json(sum_ms, timed)},
              {"pool", brief == nullptr ? json(nullptr) : json(brief->pool)},
              {"mode", brief == nullptr ? json(nullptr) : json(mode_label(brief->mode))},
              {"renew", brief != nullptr && brief->renew},
              {"guard", "off"},
              {"load", nullptr},
              {"limit", nullptr},
              {"guarded", 0}};
  if (guard == nullptr) return out;
  out["guard"] = guard->state();
  out["load"] = guard->load;
  out["limit"] = guard->vip_limit == 0 ? json(nullptr) : json(guard->vip_limit);
  out["guarded"] = guard->guarded;
  return out;
}

template <class List, class Name>
auto named(const List& list, const std::string& name, Name member) {
  const auto found = std::ranges::find(list, name, member);
  return found == list.end() ? nullptr : &*found;
}

json vips_of(const Overview& overview, size_t most) {
  std::vector<std::pair<uint64_t, const VipCounters*>> order;
  order.reserve(overview.view.counters.vips.size());
  for (const VipCounters& vip : overview.view.counters.vips) {
    order.emplace_back(packet_total(vip.counters), &vip);
  }
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.first > b.first; });
  if (order.size() > most) order.resize(most);
  json out = json::array();
  for (const auto& [total, vip] : order) {
    out.push_back(vip_json(*vip, named(overview.vips, vip->name, &VipBrief::name),
                           named(overview.view.guard, vip->name, &GuardVipView::vip)));
  }
  return out;
}

/// `view` with no list longer than kPageRows, what matters most kept.
View cut(View view) {
  constexpr size_t kListeners = 16;  // of one namespace
  view.guard.clear();
  if (view.monitor && view.monitor->subjects.size() > kPageRows) {
    auto& subjects = view.monitor->subjects;
    std::ranges::stable_sort(subjects, std::greater{}, &MonitorSubjectView::unsolicited);
    subjects.resize(kPageRows);
  }
  if (view.conditions.size() > kPageRows) {
    std::ranges::stable_sort(view.conditions, std::greater{}, &Condition::severity);
    view.conditions.resize(kPageRows);
  }
  if (view.namespaces.size() > kPageRows) view.namespaces.resize(kPageRows);
  for (NamespaceView& ns : view.namespaces) {
    auto& listeners = ns.listeners.listeners;
    std::erase_if(listeners, [](const Listener& one) { return !one.may_fast_open(); });
    if (listeners.size() <= kListeners) continue;
    ns.listeners.left_out += listeners.size() - kListeners;
    listeners.resize(kListeners);
  }
  return view;
}

/// Of each shared pool what tells whether a rotation goes on.
json farms_json(const json& farms) {
  json out = json::object();
  for (const auto& [pool, status] : farms.items()) {
    json& one = out[pool] = json::object();
    for (const char* name : {"state", "leader", "connected", "held", "waits_for"}) {
      one[name] = status.value(name, json(nullptr));
    }
    one["members"] = status.value("members", json::array()).size();
  }
  return out;
}

}  // namespace

json overview_json(const Overview& overview, size_t most) {
  const View& view = overview.view;
  json out = status_json(cut(view));
  out.erase("guard");
  out.erase("http");
  out["node"] = overview.node;
  out["now"] = view.now;
  out["taken_ns"] = view.counters.taken_ns;
  out["started_at"] = view.started_at;
  out["conditions_total"] = view.conditions.size();
  out["subjects_total"] = view.monitor ? view.monitor->subjects.size() : 0;
  const json raised = overview.alerts.value("alerts", json::array());
  out["verdict"] = verdict_json(judge(view, raised, overview.minute));
  out["totals"] = tally_json(tally_of(view));
  out["minute"] = tally_json(overview.minute.change);
  out["minute"]["seconds"] = overview.minute.seconds;
  out["saved"] = saved_json(view);
  out["vips"] = vips_of(overview, most);
  out["vips_total"] = view.counters.vips.size();
  out["alerts"] = overview.alerts;
  out["guarded"] = overview.guarded;
  if (out["guarded"].is_object()) out["guarded"].erase("vips");
  out["farms"] = farms_json(overview.farms);
  out["recent"] = overview.recent;
  return out;
}

}  // namespace tfo
