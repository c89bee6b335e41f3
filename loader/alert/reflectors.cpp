// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/reflectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loader/guard/report.h"

namespace tfo::alert {

using nlohmann::json;

namespace {

constexpr size_t kTop = 10;  // networks in the evidence

json counts_json(const HandshakeCounts& counts) {
  return {{"opened", counts.opened},
          {"unanswered_within_3_s", counts.unanswered},
          {"reset", counts.reset}};
}

json guard_json(const GuardVipView& vip) {
  return {{"state", vip.state()},
          {"load", vip.load},
          {"limit_of_a_network", vip.limit},
          {"limit_of_all", vip.vip_limit},
          {"networks_over_their_limits", vip.guarded},
          {"sees_syn_acks", vip.exact}};
}

/// Those that fail most, each with its part of what fails at the VIP.
json top_networks(const GuardVipView& vip) {
  std::vector<const GuardNetworkView*> all;
  all.reserve(vip.networks.size());
  for (const GuardNetworkView& one : vip.networks) all.push_back(&one);
  std::ranges::stable_sort(all, [](const auto* a, const auto* b) {
    return a->handshakes.failed() > b->handshakes.failed();
  });
  if (all.size() > kTop) all.resize(kTop);
  json out = json::array();
  for (const GuardNetworkView* one : all) {
    json entry = counts_json(one->handshakes);
    entry["network"] = one->network;
    const uint64_t failed = std::max(vip.handshakes.failed(), one->handshakes.failed());
    entry["share"] =
        failed == 0 ? 0.0
                    : static_cast<double>(one->handshakes.failed()) / static_cast<double>(failed);
    out.push_back(std::move(entry));
  }
  return out;
}

/// What the servers of a pool on this node say of it: SYN-ACKs that were sent again among others.
json servers_json(const View& view, const std::string& pool) {
  json servers = json::object();
  for (const NamespaceView& one : view.namespaces) {
    if (one.pool == pool && one.mib) servers[one.name] = kernel_counters_json(*one.mib);
  }
  return servers;
}

json vip_evidence(const View& view, const GuardVipView& vip, const std::string& pool) {
  json out = {{"handshakes", counts_json(vip.handshakes)},
              {"client_networks", top_networks(vip)},
              {"guard", guard_json(vip)}};
  const auto counted = std::ranges::find(view.counters.vips, vip.vip, &VipCounters::name);
  if (counted != view.counters.vips.end()) out["outcomes_ever"] = outcomes_json(counted->guard);
  if (json servers = servers_json(view, pool); !servers.empty()) {
    out["kernel_counters_ever"] = std::move(servers);
  }
  return out;
}

/// A network at all VIPs.
struct Network {
  HandshakeCounts all;
  std::vector<std::pair<const GuardVipView*, HandshakeCounts>> vips;

  const GuardVipView& worst() const {
    const auto most =
        std::ranges::max_element(vips, {}, [](const auto& one) { return one.second.failed(); });
    return *most->first;
  }
};

json network_evidence(const std::string& name, const Network& network) {
  json vips = json::object();
  for (const auto& [vip, counts] : network.vips) {
    vips[vip->vip] = {{"handshakes", counts_json(counts)}, {"guard", guard_json(*vip)}};
  }
  return {{"handshakes", counts_json(network.all)},
          {"vips", std::move(vips)},
          {"capture", fmt::format("net {} and tcp", name)},
          {"relief", fmt::format("tfoctl guard deny {}", name)}};
}

std::map<std::string, Network> networks_of(const View& view) {
  std::map<std::string, Network> networks;
  for (const GuardVipView& vip : view.guard) {
    for (const GuardNetworkView& one : vip.networks) {
      Network& network = networks[one.network];
      // A rule sees a counter that begins at 0 grow by it.
      if (one.fresh) {
        network.vips.emplace_back(&vip, HandshakeCounts());
        continue;
      }
      network.all.opened += one.handshakes.opened;
      network.all.unanswered += one.handshakes.unanswered;
      network.all.reset += one.handshakes.reset;
      network.vips.emplace_back(&vip, one.handshakes);
    }
  }
  return networks;
}

void judge(Sample& sample, const GuardVipView& vip, const HandshakeCounts& counts) {
  sample.count = counts.failed();
  sample.total = counts.opened;
  if (!vip.blind) return;
  sample.readiness = Readiness::kUnproven;
  sample.why = "the clients' answers do not pass here (guard_blind)";
}

Evidence evidence_of(const View& view, const GuardVipView& vip, const std::string& pool) {
  if (!vip.on) return {};
  return [&view, &vip, pool] { return vip_evidence(view, vip, pool); };
}

}  // namespace

json kernel_counters_json(const KernelMib& mib) {
  json counters = json::object();
  for (size_t i = 0; i < kKernelCounters; ++i) {
    const auto& count = mib.at(i);
    if (count) counters[std::string(kKernelCounterTable.at(i).name)] = *count;
  }
  return counters;
}

Evidence guard_evidence(const View& view, const std::string& vip, const std::string& pool) {
  const auto found = std::ranges::find(view.guard, vip, &GuardVipView::vip);
  return found == view.guard.end() ? Evidence() : evidence_of(view, *found, pool);
}

void reflectors(const View& view, const tfo::Config& config, Input& out) {
  std::map<std::string_view, std::string_view> pools;
  for (const VipConfig& vip : config.vips) pools.emplace(vip.name, vip.pool);
  for (const GuardVipView& vip : view.guard) {
    if (!vip.on) continue;
    Sample sample{.rule = "reflector", .subject = vip.vip, .pool = std::string(pools[vip.vip])};
    judge(sample, vip, vip.handshakes);
    sample.evidence = evidence_of(view, vip, sample.pool);
    out.samples.push_back(std::move(sample));
  }
  for (const auto& [name, network] : networks_of(view)) {
    const GuardVipView& vip = network.worst();
    // No pool: it may come to another one's VIP next, and would be another alert.
    Sample sample{.rule = "reflector_network", .subject = name};
    sample.sources = network.vips.size();
    sample.part_of = vip.vip;
    judge(sample, vip, network.all);
    sample.evidence = [whose = name, what = network] { return network_evidence(whose, what); };
    out.samples.push_back(std::move(sample));
  }
}

}  // namespace tfo::alert
