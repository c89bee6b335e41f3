// SPDX-License-Identifier: BSD-2-Clause
#include "tools/audit_targets.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/client.h"

namespace tfo {

using audit::Address;
using audit::Endpoint;
using audit::Target;

namespace {

constexpr size_t kMostTargets = 4096;

/// One target for each port that is meant.
Result<> add(const Endpoint& endpoint, const std::optional<Address>& via,
             const std::vector<uint16_t>& ports, std::vector<Target>& targets) {
  const std::vector<uint16_t> own = {endpoint.port.value_or(0)};
  for (const uint16_t port : endpoint.port ? own : ports) {
    targets.push_back({endpoint.address, port, via});
  }
  if (endpoint.port || !ports.empty()) return {};
  return fail(
      fmt::format("which port of {}? Give --port N, or ADDRESS:PORT", to_string(endpoint.address)));
}

Result<> add_servers(const AuditArgs& args, const std::vector<uint16_t>& ports,
                     std::vector<Target>& targets) {
  for (const std::string& text : args.servers) {
    const auto endpoint = audit::parse_endpoint(text);
    if (!endpoint) return fail("SERVER " + endpoint.error().message);
    if (auto done = add(*endpoint, std::nullopt, ports, targets); !done) return done;
  }
  return {};
}

bool has_family(const std::vector<Address>& addresses, int family) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Address& one) { return one.family == family; });
}

/// Every VIP at every next hop of its family. One that has no partner is a slip.
Result<> add_vips(const AuditArgs& args, const std::vector<uint16_t>& ports,
                  std::vector<Target>& targets) {
  std::vector<Address> hops;
  for (const std::string& text : args.vias) {
    const auto hop = audit::parse_address(text);
    if (!hop) return fail("--via " + hop.error().message);
    hops.push_back(*hop);
  }
  std::vector<Address> vips;
  for (const std::string& text : args.vips) {
    const auto vip = audit::parse_endpoint(text);
    if (!vip) return fail("--vip " + vip.error().message);
    vips.push_back(vip->address);
    for (const Address& hop : hops) {
      if (hop.family != vip->address.family) continue;
      if (auto done = add(*vip, hop, ports, targets); !done) return done;
    }
    if (!has_family(hops, vip->address.family)) {
      return fail(fmt::format("--vip {}: give --via NEXTHOP, an IPv{} neighbour that holds it",
                              text, vip->address.family));
    }
  }
  for (const Address& hop : hops) {
    if (has_family(vips, hop.family)) continue;
    return fail(fmt::format("--via {}: give --vip ADDRESS, the IPv{} address to ask it for",
                            to_string(hop), hop.family));
  }
  return {};
}

}  // namespace

Result<std::vector<Target>> audit_targets(const AuditArgs& args,
                                          const std::vector<uint16_t>& ports) {
  std::vector<Target> targets;
  Result<> done = add_servers(args, ports, targets);
  if (done) done = add_vips(args, ports, targets);
  if (!done) return tl::unexpected<Error>(done.error());
  if (targets.empty()) return fail("whom? Give SERVER..., or --vip ADDRESS --via NEXTHOP...");
  if (targets.size() > kMostTargets) {
    return fail(
        fmt::format("{} servers and ports at once; at most {}", targets.size(), kMostTargets));
  }
  return targets;
}

Result<audit::ProbeOptions> audit_options(const AuditArgs& args) {
  audit::ProbeOptions options;
  for (const std::string& text : args.sources) {
    const auto source = audit::parse_address(text);
    if (!source) return fail("--source " + source.error().message);
    auto& place = source->family == 4 ? options.source4 : options.source6;
    if (place) return fail(fmt::format("--source: two IPv{} addresses", source->family));
    place = *source;
  }
  options.tries = args.tries;
  options.pause = std::chrono::milliseconds(static_cast<int64_t>(args.timeout * 1000));
  options.via_hop_limit = static_cast<uint8_t>(args.ttl);
  return options;
}

std::vector<uint16_t> ports_of_pool(const nlohmann::json& vips, const std::string& pool) {
  std::vector<uint16_t> ports;
  for (const nlohmann::json& vip : array_of(vips, "vips")) {
    if (text_of(vip, "pool") != pool) continue;
    const nlohmann::json listed = array_of(vip, "ports");
    if (listed.empty()) return {};
    for (const nlohmann::json& one : listed) {
      const auto port = one.is_number_integer() ? one.get<int64_t>() : 0;
      const bool known = std::find(ports.begin(), ports.end(), port) != ports.end();
      if (port > 0 && port < 65536 && !known) ports.push_back(static_cast<uint16_t>(port));
    }
  }
  return ports;
}

}  // namespace tfo
