// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/feeder.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "loader/alert/reflectors.h"
#include "loader/observe/reason_table.h"

namespace tfo::alert {

using nlohmann::json;

namespace {

/// Conditions that are alerts as they are, and of which rule.
constexpr std::pair<std::string_view, std::string_view> kConditions[] = {
    {"guard_active", "guard_active"},    {"guard_blind", "guard_blind"},
    {"guard_evaded", "guard_evaded"},    {"drop_disarmed", "drop_disarmed"},
    {"syn_cookies", "syn_cookies"},      {"cookie_not_required", "cookie_not_required"},
    {"key_drift", "key_drift"},          {"key_fight", "key_drift"},
    {"rotation_held", "rotation_stuck"}, {"straggler", "rotation_stuck"},
    {"ring_stale", "key_stale"},         {"no_key", "key_stale"},
    {"generic_mode", "generic_mode"},
};

constexpr unsigned kKnown[] = {TFO_COOKIE_CURRENT, TFO_COOKIE_STAGED, TFO_COOKIE_PREVIOUS,
                               TFO_COOKIE_RETIRED, TFO_COOKIE_REVOKED};
constexpr unsigned kInvalid[] = {TFO_COOKIE_INVALID, TFO_COOKIE_LENGTH};

/// A derived pool's keys change with the clock, known to everybody before: its phase is never
/// steady, and tells of nothing.
bool by_the_clock(const PoolView& pool) { return pool.store == "derived"; }

const PoolView* find_pool(const View& view, const std::string& name) {
  const auto found = std::ranges::find(view.pools, name, &PoolView::name);
  return found == view.pools.end() ? nullptr : &*found;
}

/// "pool" or "pool/sink", if there is such a pool; a VIP's or a namespace's otherwise.
std::string pool_of(const View& view, const tfo::Config& config, const std::string& subject) {
  const std::string first = subject.substr(0, subject.find('/'));
  if (find_pool(view, first) != nullptr) return first;
  const auto vip = std::ranges::find(config.vips, subject, &VipConfig::name);
  if (vip != config.vips.end()) return vip->pool;
  const auto server = std::ranges::find(view.namespaces, subject, &NamespaceView::name);
  return server == view.namespaces.end() ? "" : server->pool;
}

void conditions(const View& view, const tfo::Config& config, Input& out) {
  for (const Condition& condition : view.conditions) {
    for (const auto& [id, rule] : kConditions) {
      if (condition.id != id) continue;
      const std::string pool = pool_of(view, config, condition.subject);
      out.states.push_back({.rule = std::string(rule),
                            .subject = condition.subject,
                            .pool = pool,
                            .text = condition.evidence,
                            .evidence = guard_evidence(view, condition.subject, pool)});
    }
  }
}

void pool_states(const View& view, Input& out) {
  for (const PoolView& pool : view.pools) {
    if (by_the_clock(pool)) continue;
    if (!pool.state.empty() && pool.state != "steady") {
      out.states.push_back({.rule = "rotation_stuck",
                            .subject = pool.name,
                            .pool = pool.name,
                            .text = fmt::format("the rotation is in its state \"{}\"; `tfoctl node "
                                                "list` shows who lacks the key",
                                                pool.state)});
    }
    for (const KeyView& key : pool.keys) {
      if (key.place != "current" || key.not_after == 0) continue;
      const int64_t left = key.not_after - view.now;
      // Less than a quarter of its life, too: where keys change every few minutes, an hour is more
      // than they ever have.
      if (left >= Feeder::kStale || 3 * left >= view.now - key.created_at) continue;
      out.states.push_back(
          {.rule = "key_stale",
           .subject = pool.name,
           .pool = pool.name,
           .text = "the current key " + key.id + " ends soon, and no other has taken its place"});
    }
  }
}

json cookie_evidence(const VipCounters& vip) {
  json reasons = json::object();
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    if (const uint64_t count = reason_total(vip.counters, reason)) {
      reasons[std::string(reason_label(reason))] = count;
    }
  }
  json actions = json::object();
  for (unsigned action = 0; action < TFO_ACTION_COUNT; ++action) {
    actions[std::string(action_label(action))] = vip.counters.action[action];
  }
  return {{"reasons_ever", std::move(reasons)}, {"actions_ever", std::move(actions)}};
}

Sample cookie_sample(const VipCounters& vip, const std::string& pool,
                     const std::string& inhibited) {
  Sample sample{.rule = "invalid_cookie_ratio", .subject = vip.name, .pool = pool};
  for (const unsigned reason : kInvalid) sample.count += reason_total(vip.counters, reason);
  sample.total = sample.count;
  for (const unsigned reason : kKnown) sample.total += reason_total(vip.counters, reason);
  if (!inhibited.empty()) {
    sample.readiness = Readiness::kInhibited;
    sample.why = inhibited;
  }
  sample.evidence = [&vip] { return cookie_evidence(vip); };
  return sample;
}

json kernel_evidence(const KernelMib& mib) {
  return {{"kernel_counters_ever", kernel_counters_json(mib)}};
}

void kernel_counters(const View& view, Input& out) {
  const auto counter =
      std::ranges::find(kKernelCounterTable, "listen_overflow", &KernelCounter::metric);
  const auto at = static_cast<size_t>(counter - kKernelCounterTable.begin());
  for (const NamespaceView& one : view.namespaces) {
    if (!one.mib || at >= kKernelCounters) continue;
    const KernelMib& mib = *one.mib;
    const std::optional<uint64_t> count = mib.at(at);
    if (!count) continue;
    out.samples.push_back({.rule = "listen_overflow",
                           .subject = one.name,
                           .pool = one.pool,
                           .count = *count,
                           .evidence = [&mib] { return kernel_evidence(mib); }});
  }
}

void events_lost(const View& view, Input& out) {
  Sample sample{.rule = "events_lost", .subject = "guard"};
  for (const VipCounters& vip : view.counters.vips) sample.count += vip.guard.events_lost;
  sample.evidence = [&view] {
    json vips = json::object();
    for (const VipCounters& vip : view.counters.vips) {
      if (vip.guard.events_lost > 0) vips[vip.name] = vip.guard.events_lost;
    }
    return json{{"lost_ever", std::move(vips)}};
  };
  out.samples.push_back(std::move(sample));
}

}  // namespace

void Feeder::look_at_pools(const View& view, int64_t boot_s) {
  std::map<std::string, Revocations> now;
  for (const PoolView& pool : view.pools) {
    Revocations& known = now.emplace(pool.name, revoked_[pool.name]).first->second;
    std::set<std::string> ids;
    for (const KeyView& key : pool.keys) {
      if (key.place == "revoked") ids.insert(key.id);
    }
    // When a key was revoked that was so at the start is not known: perhaps just now.
    if (!std::ranges::includes(known.ids, ids)) known.last = boot_s;
    known.ids = std::move(ids);
  }
  revoked_ = std::move(now);
}

std::string Feeder::why_inhibited(const View& view, const std::string& name, int64_t boot_s) const {
  const PoolView* pool = find_pool(view, name);
  if (pool == nullptr) return {};
  if (!by_the_clock(*pool) && !pool->state.empty() && pool->state != "steady") {
    return fmt::format("a rotation of pool {} is in its state \"{}\"", name, pool->state);
  }
  const auto known = revoked_.find(name);
  if (known == revoked_.end() || known->second.ids.empty()) return {};
  if (boot_s - known->second.last >= kAfterRevoke) return {};
  return fmt::format("a key of pool {} was revoked within the last hour", name);
}

void Feeder::vips(const View& view, const tfo::Config& config, int64_t boot_s, Input& out) const {
  std::map<std::string, std::string> inhibited;  // by pool
  for (const PoolView& pool : view.pools) {
    inhibited[pool.name] = why_inhibited(view, pool.name, boot_s);
  }
  std::map<std::string_view, const VipConfig*> configured;
  for (const VipConfig& vip : config.vips) configured[vip.name] = &vip;
  for (const VipCounters& vip : view.counters.vips) {
    const auto found = configured.find(vip.name);
    const VipConfig* known = found == configured.end() ? nullptr : found->second;
    const std::string pool = known == nullptr ? "" : known->pool;
    out.samples.push_back(cookie_sample(vip, pool, inhibited[pool]));
  }
}

Input Feeder::read(const View& view, const tfo::Config& config, int64_t boot_s) {
  Input out;
  look_at_pools(view, boot_s);
  conditions(view, config, out);
  pool_states(view, out);
  vips(view, config, boot_s, out);
  reflectors(view, config, out);
  kernel_counters(view, out);
  if (!view.counters.vips.empty()) events_lost(view, out);
  return out;
}

}  // namespace tfo::alert
