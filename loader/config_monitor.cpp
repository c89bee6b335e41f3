// SPDX-License-Identifier: BSD-2-Clause
// The section monitor.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "loader/address.h"
#include "loader/config_parser.h"
#include "loader/monitor/watchlist.h"

namespace tfo {
namespace {

constexpr size_t kMaxTracked = 1024;
constexpr size_t kMaxTrackedPrefixes = 256;  // of one
constexpr size_t kMaxDeclared = 256;
constexpr int64_t kFewestLines = 1024;
constexpr int64_t kMostLines = 1 << 24;  // 512 MiB a filter
constexpr std::string_view kNetwork =
    "such as \"198.51.100.0/24\", \"2001:db8::/48\" or an address";

std::optional<MonitorPrefix> read_network(const ConfigNode& node) {
  const auto text = node.text(kNetwork);
  if (!text) return std::nullopt;
  const auto network = parse_network(*text);
  if (network) return *network;
  node.complain(network.error().message, "");
  return std::nullopt;
}

}  // namespace

void ConfigParser::monitor(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"tracked": [{"name": "office", "prefixes": [...]}]})");
  if (const auto field = object.optional("vips")) {
    config_.monitor.vips = field->boolean().value_or(true);
  }
  if (const auto field = object.optional("bloom_lines")) monitor_lines(*field);
  const std::string_view tracked = R"(such as [{"name": "office", "prefixes": ["192.0.2.0/28"]}])";
  if (const auto field = object.optional("tracked")) {
    for (const ConfigNode& item : field->items(kMaxTracked, tracked)) monitor_tracked(item);
  }
  const std::string_view declared = R"(such as [{"name": "customers", "prefix": "192.0.2.0/24"}])";
  if (const auto field = object.optional("prefixes")) {
    for (const ConfigNode& item : field->items(kMaxDeclared, declared)) monitor_prefix(item);
    monitor_cells(*field);
  }
  monitor_targets(node);
  object.finish();
}

void ConfigParser::monitor_lines(const ConfigNode& node) {
  const auto lines = node.integer(kFewestLines, kMostLines, "lines of 32 bytes of each filter");
  if (!lines) return;
  const auto number = static_cast<uint32_t>(*lines);
  if (std::has_single_bit(number)) {
    config_.monitor.bloom_lines = number;
  } else {
    node.complain(fmt::format("is {}, no power of two", number),
                  fmt::format("give {} or {}", std::bit_floor(number), std::bit_ceil(number)));
  }
}

/// Names are the victims' in alerts, where those of VIPs stand, too.
void ConfigParser::monitor_name(ConfigObject& object, std::string& out) {
  const auto field = object.required("name", R"(a name for alerts, such as "office")");
  if (!field) return;
  const auto text = name(*field, TFO_NAME_LEN - 1);
  if (!text) return;
  out = *text;
  once(vip_names_, out, *field, "name");
}

void ConfigParser::monitor_network(const ConfigNode& node, const MonitorPrefix& network) {
  const std::string text = network_text({network.address, network.length});
  once(monitored_, text, node, "network");
  const auto vip = address_pools_.find(network.address);
  if (network.length != 128 || vip == address_pools_.end() || !config_.monitor.vips) return;
  node.complain(
      fmt::format("{} is an address of VIP \"{}\"", text, vip->second.second),
      "give that VIP \"originates\": true if it opens connections, and remove it from here");
}

void ConfigParser::monitor_tracked(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"name": "office", "prefixes": ["192.0.2.0/28"]})");
  TrackedConfig out;
  monitor_name(object, out.name);
  const std::string_view right = R"(its addresses and networks: ["192.0.2.0/28"])";
  if (const auto field = object.required("prefixes", right)) {
    if (field->is_empty_array()) field->complain("names no address", fmt::format("give {}", right));
    for (const ConfigNode& item : field->items(kMaxTrackedPrefixes, right)) {
      const auto network = read_network(item);
      if (!network) continue;
      monitor_network(item, *network);
      out.prefixes.push_back(*network);
    }
  }
  object.finish();
  config_.monitor.tracked.push_back(std::move(out));
}

void ConfigParser::monitor_prefix(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"name": "customers", "prefix": "192.0.2.0/24"})");
  DeclaredPrefix out;
  monitor_name(object, out.name);
  const auto prefix = object.required("prefix", std::string(kNetwork));
  const auto network = prefix ? read_network(*prefix) : std::nullopt;
  if (network) monitor_network(*prefix, *network);
  out.prefix = network.value_or(MonitorPrefix());
  monitor_kind(object, node, out);
  if (const auto field = object.optional("each_address")) {
    out.each_address = field->boolean().value_or(out.each_address);
  }
  object.finish();
  if (!network) return;
  const bool ipv4 = network->is_v4();
  if (out.each_address && (ipv4 ? network->length < kWidestCounted : network->length > 64)) {
    prefix->complain(ipv4 ? "has more than 2^18 addresses" : "is longer than /64",
                     ipv4 ? "give networks of /14 or longer, or \"each_address\": false"
                          : "give a network of /64 or shorter, or \"each_address\": false");
  }
  config_.monitor.prefixes.push_back(std::move(out));
}

/// Which kind it is, and whether its addresses are worth counting one by one.
void ConfigParser::monitor_kind(ConfigObject& object, const ConfigNode& node, DeclaredPrefix& out) {
  constexpr tfo_target_kind kKinds[] = {TFO_TARGET_TRACKED, TFO_TARGET_VIP, TFO_TARGET_ASYMMETRIC};
  if (const auto field = object.optional("kind")) {
    const auto kind = field->choice({"tracked", "silent", "asymmetric"});
    out.kind = kKinds[kind.value_or(0)];
  }
  if (const auto field = object.optional("mirror")) out.mirror = field->boolean().value_or(false);
  bool lossless = false;
  if (const auto field = object.optional("mirror_lossless")) {
    lossless = field->boolean().value_or(false);
  }
  if (lossless && !out.mirror) {
    node.complain("has \"mirror_lossless\" and no mirror port",
                  "give it \"mirror\": true, or remove that field");
  }
  // What a mirror port loses of the SYNs would make attacks of the answers.
  if (out.mirror && !lossless && out.kind == TFO_TARGET_TRACKED) out.kind = TFO_TARGET_ASYMMETRIC;
  out.each_address = out.kind != TFO_TARGET_ASYMMETRIC;
}

void ConfigParser::monitor_targets(const ConfigNode& node) {
  size_t all = config_.monitor.prefixes.size() + address_pools_.size();
  for (const TrackedConfig& one : config_.monitor.tracked) all += one.prefixes.size();
  if (all <= TFO_TARGETS) return;
  node.complain(fmt::format("names {} addresses and networks, those of VIPs among them", all),
                fmt::format("give at most {}: name wider networks", TFO_TARGETS));
}

void ConfigParser::monitor_cells(const ConfigNode& node) {
  uint64_t addresses = 0;
  for (const DeclaredPrefix& one : config_.monitor.prefixes) {
    if (!one.each_address || !one.prefix.is_v4() || one.prefix.length < kWidestCounted) continue;
    addresses += std::max<uint64_t>(256, uint64_t{1} << (128 - one.prefix.length));
  }
  if (addresses <= TFO_PREFIX_CELLS) return;
  node.complain(
      fmt::format("count {} IPv4 addresses one by one (a /24 at least of each)", addresses),
      fmt::format("at most {} can be: give some \"each_address\": false", TFO_PREFIX_CELLS));
}

/// What the interfaces' programs do for the monitor.
void ConfigParser::monitor_interfaces() {
  const bool alone = config_.server &&
                     std::ranges::find(config_.server->namespaces, std::string(),
                                       &NamespaceConfig::netns) != config_.server->namespaces.end();
  const uint8_t bits = monitor_bits(config_);
  if (bits == 0) return;
  // A VIP that is this node's own address opens connections, whatever the configuration says.
  const bool outgoing = watches_syns(config_) || alone;
  const bool inside =
      std::ranges::any_of(config_.interfaces, [](const auto& one) { return one.inside; });
  for (InterfaceConfig& one : config_.interfaces) {
    one.monitor = one.inside ? bits | TFO_MONITOR_INSIDE : bits;
    if (outgoing) one.tracks = inside ? bits | TFO_MONITOR_INSIDE : bits;
  }
}

}  // namespace tfo
