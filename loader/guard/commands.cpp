// SPDX-License-Identifier: BSD-2-Clause
// What an operator asks of the guard.
#include <fmt/format.h>

#include <algorithm>

#include "loader/dataplane/dataplane.h"
#include "loader/guard/keeper.h"
#include "loader/guard/report.h"
#include "loader/log.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kLongest = int64_t{366} * 86400;  // seconds

const char* verdict_word(tfo_guard_list_verdict verdict) {
  return verdict == TFO_LIST_DENY ? "deny" : "allow";
}

Result<ClientNetwork> network_of(const json& request) {
  const auto field = request.find("network");
  if (field == request.end() || !field->is_string()) {
    return fail("give \"network\", such as \"192.0.2.0/24\"");
  }
  return parse_network(field->get_ref<const std::string&>());
}

/// Boot time in ns at which the entry ends.
Result<uint64_t> until_of(const json& request, uint64_t now_ns, bool may_be_missing) {
  const auto field = request.find("seconds");
  if (field == request.end() && may_be_missing) return ListedNetwork::kForEver;
  if (field == request.end() || !field->is_number_integer()) {
    return fail("give \"seconds\", how long it is to hold");
  }
  const auto seconds = field->get<int64_t>();
  if (seconds < 1 || seconds > kLongest) {
    return fail(fmt::format("\"seconds\" is {}: give 1 to {}", seconds, kLongest));
  }
  return now_ns + static_cast<uint64_t>(seconds * kSecond);
}

}  // namespace

Result<json> GuardKeeper::command(const std::string& name, const json& request,
                                  const Dataplane& dataplane, const Config& config) {
  if (auto read = read_events(dataplane); !read) return tl::unexpected(read.error());
  if (name == "guard-list") return list(dataplane);
  const auto network = network_of(request);
  if (!network) return tl::unexpected(network.error());
  if (name == "guard-release") return release(*network, dataplane, config);
  if (name == "guard-deny") return rule(*network, TFO_LIST_DENY, request, dataplane);
  if (name == "guard-allow") return rule(*network, TFO_LIST_ALLOW, request, dataplane);
  return fail(
      "unknown command of the guard; known are guard-list, guard-release, guard-deny, "
      "guard-allow");
}

Result<json> GuardKeeper::list(const Dataplane& dataplane) const {
  size_t all = 0;
  const auto guarded = dataplane.guard().guarded(kMostShown, &all);
  if (!guarded) return tl::unexpected(guarded.error());
  const auto listed = dataplane.guard().listed();
  if (!listed) return tl::unexpected(listed.error());
  json out = {{"guarded", json::array()},
              {"guarded_total", all},
              {"listed", json::array()},
              {"history", json::array()},
              {"vips", json::array()}};
  for (const GuardedNetwork& one : *guarded) {
    out["guarded"].push_back({{"network", network_text(one.network)},
                              {"vip", dataplane.vip_of(one.slot)},
                              {"level", level_label(one.level)},
                              {"load", one.load},
                              {"limit", one.limit},
                              {"since", unix_of(one.since_ns)},
                              {"over", one.over}});
  }
  for (const ListedNetwork& one : *listed) {
    const bool ends = one.until_ns != ListedNetwork::kForEver;
    out["listed"].push_back({{"network", network_text(one.network)},
                             {"verdict", verdict_word(one.verdict)},
                             {"until", ends ? json(unix_of(one.until_ns)) : json(nullptr)}});
  }
  for (const GuardChange& one : history_.changes())
    out["history"].push_back(guard_change_json(one));
  for (const GuardVipView& one : view_) out["vips"].push_back(guard_vip_json(one));
  return out;
}

/// The load, and what the operator had said of exactly this network.
Result<json> GuardKeeper::release(const ClientNetwork& network, const Dataplane& dataplane,
                                  const Config& config) {
  std::vector<uint32_t> slots;
  for (const VipConfig& vip : config.vips) {
    if (const auto slot = dataplane.slot_of(vip.name)) slots.push_back(*slot);
  }
  const auto forgotten = dataplane.guard().release(network, slots);
  if (!forgotten) return tl::unexpected(forgotten.error());
  const auto unlisted = dataplane.guard().unlist(network);
  if (!unlisted) return tl::unexpected(unlisted.error());
  const std::string text = network_text(network);
  if (*forgotten > 0 || *unlisted) {
    history_.add({.at = clock_.now().unix_s,
                  .event = "released",
                  .network = network,
                  .vip = "",
                  .level = ""});
    log_info("guard: {} released by command: {} loads forgotten{}", text, *forgotten,
             *unlisted ? ", and what was said of it" : "");
  }
  return json{{"network", text}, {"forgotten", *forgotten}, {"unlisted", *unlisted}};
}

Result<json> GuardKeeper::rule(const ClientNetwork& network, tfo_guard_list_verdict verdict,
                               const json& request, const Dataplane& dataplane) {
  const bool on = std::ranges::any_of(view_, &GuardVipView::on);
  if (!on) return fail("no VIP has its guard on: nothing would come of it");
  const GuardTables& guard = dataplane.guard();
  const auto until = until_of(request, guard.now_ns(), verdict == TFO_LIST_ALLOW);
  if (!until) return tl::unexpected(until.error());
  if (auto done = guard.list({network, verdict, *until}); !done) {
    return tl::unexpected(done.error());
  }
  const std::string text = network_text(network);
  const bool denied = verdict == TFO_LIST_DENY;
  history_.add({.at = clock_.now().unix_s,
                .event = denied ? "denied" : "allowed",
                .network = network,
                .vip = "",
                .level = ""});
  log_info("guard: {} {} by command", text, denied ? "denied" : "allowed");
  const bool ends = *until != ListedNetwork::kForEver;
  return json{{"network", text},
              {"verdict", verdict_word(verdict)},
              {"until", ends ? json(unix_of(*until)) : json(nullptr)}};
}

}  // namespace tfo
