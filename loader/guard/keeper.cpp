// SPDX-License-Identifier: BSD-2-Clause
#include "loader/guard/keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "loader/dataplane/dataplane.h"
#include "loader/log.h"

namespace tfo {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr const char* kConditions[] = {"guard_active", "guard_blind", "guard_evaded",
                                       "egress_blind"};

/// May SYN-ACKs be seen to leave, wherever they do?
bool watches_egress(const Dataplane& dataplane) {
  const auto& all = dataplane.interfaces();
  return !all.empty() && std::ranges::all_of(all, &InterfaceStatus::egress);
}

/// Has one of this pool's VIPs a cap?
bool has_cap(const Config& config, const std::vector<GuardVipView>& view, const std::string& pool) {
  return std::ranges::any_of(config.vips, [&](const VipConfig& vip) {
    return vip.pool == pool && std::ranges::any_of(view, [&](const GuardVipView& one) {
             return one.vip == vip.name && one.vip_limit != 0;
           });
  });
}

std::string evasion_text(const VipConfig& vip, const GuardVipView& view) {
  return fmt::format(
      "the servers of pool {} refused Fast Open for full queues while {} handshakes are open here "
      "(the cap is {}; all that passes it is less than they hold{}): somebody sends ACKs or RSTs "
      "that the servers do not take, other ways lead to them, or connections spread unevenly; what "
      "was opened in the last 127 s counts as load until it stops",
      vip.pool, view.load, view.vip_limit,
      vip.guard.vip_limit ? ", unless \"vip_limit\" is more than half of that" : "");
}

}  // namespace

int64_t GuardKeeper::unix_of(uint64_t boot_ns) const {
  return (static_cast<int64_t>(boot_ns) + clock_.boot_offset_ns()) / kSecondNs;
}

GuardChange GuardKeeper::change_of(const GuardedNetwork& guarded,
                                   const Dataplane& dataplane) const {
  return {.at = unix_of(guarded.since_ns),
          .event = "entered",
          .network = guarded.network,
          .vip = dataplane.vip_of(guarded.slot),
          .level = std::string(level_label(guarded.level)),
          .load = guarded.load,
          .limit = guarded.limit};
}

/// The journal gets a few lines a tick, and how many more there were.
void GuardKeeper::tell(const GuardChange& change) {
  if (++told_ > kMostTold) return;
  if (change.event == "entered") {
    log_warning("guard: {} came over its limit at VIP {}: load {} of {}",
                network_text(change.network), change.vip, change.load, change.limit);
  } else {
    log_info("guard: {} came down to half of its limit at VIP {}", network_text(change.network),
             change.vip);
  }
}

Result<> GuardKeeper::read_events(const Dataplane& dataplane) {
  const auto take = [&](const tfo_guard_event& event) {
    ConfigAddress address{};
    std::copy(std::begin(event.prefix), std::end(event.prefix), address.begin());
    const auto level = static_cast<tfo_guard_level>(event.level);
    const GuardChange change{.at = unix_of(event.time_ns),
                             .event = event.kind == TFO_GUARD_ENTERED ? "entered" : "left",
                             .network = network_at(address, level),
                             .vip = dataplane.vip_of(event.slot),
                             .level = std::string(level_label(level)),
                             .load = event.load,
                             .limit = event.limit};
    if (history_.add(change)) tell(change);
  };
  return dataplane.guard().take_events(take);
}

Result<> GuardKeeper::settle(const Dataplane& dataplane) {
  size_t all = 0;
  const auto guarded = dataplane.guard().guarded(std::numeric_limits<size_t>::max(), &all);
  if (!guarded) return tl::unexpected(guarded.error());
  std::vector<GuardChange> now;
  std::map<std::string, std::pair<size_t, size_t>> vips;  // how many, and the newest of them in now
  for (const GuardedNetwork& one : *guarded) {
    now.push_back(change_of(one, dataplane));
    ++vips.try_emplace(now.back().vip, 0, now.size() - 1).first->second.first;
  }
  for (const GuardChange& change : history_.settle(now, clock_.now().unix_s)) tell(change);
  for (GuardVipView& vip : view_) {
    const auto counted = vips.find(vip.vip);
    vip.guarded = counted == vips.end() ? 0 : counted->second.first;
    const GuardChange* first = counted == vips.end() ? nullptr : &now[counted->second.second];
    const bool full = vip.vip_limit != 0 && vip.load >= vip.vip_limit + vip.vip_limit / 2;
    std::string evidence;
    if (first != nullptr) {
      evidence = fmt::format(
          "{} client networks are over their limits, the newest is {} with a load of {} (limit "
          "{}); `tfoctl guard list` shows them, `tfoctl guard release` and `allow` relieve one",
          vip.guarded, network_text(first->network), first->load, first->limit);
    }
    if (full) {
      evidence += fmt::format(
          "{}{} handshakes are open, the cap is {}: until they are less than one and a half of "
          "that, Fast Open is only for networks that have answered before, and from one and three "
          "quarters of it for nobody",
          evidence.empty() ? "" : "; ", vip.load, vip.vip_limit);
    }
    conditions_.set("guard_active", vip.vip, first != nullptr || full, evidence);
  }
  return {};
}

Result<> GuardKeeper::look_at(const Dataplane& dataplane, const VipConfig& vip) {
  GuardVipView view{.vip = vip.name, .on = vip.guard.on};
  const auto slot = dataplane.slot_of(vip.name);
  if (vip.guard.on && slot) {
    const auto load = dataplane.guard().vip(*slot);
    if (!load) return tl::unexpected(load.error());
    const auto now = dataplane.guard().settings(*slot);
    if (!now) return tl::unexpected(now.error());
    view.address_limit = now->limit[TFO_LEVEL_ADDRESS];
    view.limit = now->limit[TFO_LEVEL_NETWORK];
    view.site_limit = now->limit[TFO_LEVEL_SITE];
    view.vip_limit = now->limit[TFO_LEVEL_VIP];
    view.load = load->load;
    view.forgotten = load->forgotten;
    view.untracked = load->untracked;
    view.blind = load->blind;
    view.evaded = (now->flags & TFO_GUARD_COUNT_OPENS) != 0;
  }
  view_.push_back(view);
  return {};
}

Result<> GuardKeeper::prove_egress(const Dataplane& dataplane) {
  std::map<std::string, EgressProof> proofs;
  const int64_t now = clock_.now().boot_s;
  for (size_t i = 0; i < view_.size() && watches_egress(dataplane); ++i) {
    GuardVipView& view = view_[i];
    const auto slot = dataplane.slot_of(view.vip);
    if (!view.on || !slot) continue;
    const auto load = dataplane.guard().vip(*slot);
    if (!load) return tl::unexpected(load.error());
    const auto guard = dataplane.guard().settings(*slot);
    if (!guard) return tl::unexpected(guard.error());
    const auto answers = dataplane.guard().answers(*slot);
    if (!answers) return tl::unexpected(answers.error());
    const auto before = proofs_.find(view.vip);
    const bool armed = (guard->flags & TFO_GUARD_EXACT) != 0;
    EgressProof proof =
        before != proofs_.end() ? before->second : EgressProof(armed, *answers, load->opened, now);
    proof.look(*answers, load->opened, now);
    view.exact = proof.armed();
    proofs.emplace(view.vip, proof);
  }
  proofs_ = std::move(proofs);
  return {};
}

void GuardKeeper::say_egress(const Config& config) {
  for (const VipConfig& vip : config.vips) {
    const auto proof = proofs_.find(vip.name);
    const bool blind = proof != proofs_.end() && proof->second.blind();
    conditions_.set(
        "egress_blind", vip.name, blind,
        fmt::format("{} handshakes were opened and no SYN-ACK to them was seen to leave, though "
                    "the interfaces have \"egress\": the servers answer past this node, and ACKs "
                    "are believed as they come; remove \"egress\", or let all SYN-ACKs leave by "
                    "these interfaces",
                    blind ? proof->second.unanswered() : 0));
  }
}

/// The servers' queues were full. The cap is half of what they hold, and at one and three quarters
/// of it nobody gets through: so they hold handshakes that were settled here, at whatever load.
void GuardKeeper::judge_evasion(const Config& config, const Overflows& overflows) {
  std::map<std::string, Evasion> known;
  const int64_t now = clock_.now().boot_s;
  for (const VipConfig& vip : config.vips) {
    if (known.contains(vip.pool)) continue;
    const bool fresh = !evasions_.contains(vip.pool);
    Evasion& one = known.emplace(vip.pool, evasions_[vip.pool]).first->second;
    const auto count = overflows(vip.pool);
    if (count && one.overflow && *count > *one.overflow) {
      one.full_until = now + kEvaded;
      if (has_cap(config, view_, vip.pool)) one.until = now + kEvaded;
    }
    one.overflow = count;
    // Found out by the tfod before this one.
    const auto by_pool = [&](const GuardVipView& view) {
      return view.evaded && std::ranges::any_of(config.vips, [&](const VipConfig& other) {
               return other.name == view.vip && other.pool == vip.pool;
             });
    };
    if (fresh && std::ranges::any_of(view_, by_pool)) one.until = now + kEvaded;
  }
  evasions_ = std::move(known);
}

Result<> GuardKeeper::mark_evasion(const Dataplane& dataplane, const Config& config) {
  constexpr uint32_t kMask = TFO_GUARD_COUNT_OPENS | TFO_GUARD_EXACT | TFO_GUARD_OVERFLOW;
  const int64_t now = clock_.now().boot_s;
  Result<> done;
  for (size_t i = 0; i < view_.size() && i < config.vips.size(); ++i) {
    const VipConfig& vip = config.vips[i];
    GuardVipView& view = view_[i];
    const auto slot = dataplane.slot_of(vip.name);
    view.evaded = view.on && evasions_[vip.pool].until > now;
    // Full queues are no fault of the path: somebody is to be held to his limit.
    const bool overflow = view.on && evasions_[vip.pool].full_until > now;
    view.blind = view.blind && !overflow;
    const uint32_t flags = (view.evaded ? unsigned{TFO_GUARD_COUNT_OPENS} : 0U) |
                           (view.exact ? unsigned{TFO_GUARD_EXACT} : 0U) |
                           (overflow ? unsigned{TFO_GUARD_OVERFLOW} : 0U);
    if (done && view.on && slot) done = dataplane.guard().set_flags(*slot, kMask, flags);
    conditions_.set("guard_blind", vip.name, view.blind,
                    "most client networks stopped answering at once, or nobody answers: the way "
                    "back to the clients does not pass here any more, and no network is held to "
                    "its limit until it does; the VIP is to its cap");
    conditions_.set("guard_evaded", vip.name, view.evaded, evasion_text(vip, view));
  }
  return done;
}

Result<> GuardKeeper::tick(const Dataplane& dataplane, const Config& config,
                           const Overflows& overflows) {
  std::set<std::string> names;
  for (const VipConfig& vip : config.vips) names.insert(vip.name);
  for (const Condition& condition : conditions_.list()) {
    const bool ours = std::ranges::find(kConditions, condition.id) != std::end(kConditions);
    if (ours && !names.contains(condition.subject)) {
      conditions_.clear(condition.id, condition.subject);
    }
  }
  Result<> done = dataplane.guard().purge();
  if (done) done = read_events(dataplane);
  if (told_ > kMostTold) {
    log_warning(
        "guard: {} more client networks came over their limits or down; `tfoctl guard "
        "list` shows them",
        told_ - kMostTold);
  }
  told_ = 0;
  view_.clear();
  for (const VipConfig& vip : config.vips) {
    if (done) done = look_at(dataplane, vip);
  }
  if (!done) return done;
  count_failed(dataplane);
  done = prove_egress(dataplane);
  if (!done) return done;
  say_egress(config);
  judge_evasion(config, overflows);
  done = mark_evasion(dataplane, config);
  return done ? settle(dataplane) : done;
}

}  // namespace tfo
