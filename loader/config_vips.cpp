// SPDX-License-Identifier: BSD-2-Clause
// The section vips.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <variant>

#include "bpf/tfo_abi.h"
#include "loader/address.h"
#include "loader/config_parser.h"

namespace tfo {
namespace {

/// The address, or why it cannot be a VIP's.
std::variant<ConfigAddress, std::string> parse_address(const std::string& text) {
  ConfigAddress address{};
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    address = kAnyV4;
    std::memcpy(address.data() + 12, &v4, sizeof(v4));
    if (address[12] == 0 || address[12] >= 224) return "is no unicast address";
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), address.data()) != 1) {
    return text.find('/') != std::string::npos ? "is a prefix" : "is no IP address";
  }
  if (is_mapped(address)) return "is an IPv4 address in IPv6 form";
  const bool unspecified = std::count(address.begin(), address.end(), 0) == 16;
  if (address[0] == 0xff || unspecified) return "is no unicast address";
  return address;
}

}  // namespace

void ConfigParser::vips(const ConfigNode& node) {
  const std::string_view right = R"(such as [{"name": "web", "addresses": [...], "pool": "web"}])";
  for (const ConfigNode& item : node.items(kMaxVips, right)) vip(item);
  size_t total = 0;
  for (const VipConfig& v : config_.vips) {
    total += v.addresses.size() * std::max<size_t>(1, v.ports.size());
  }
  if (total > kMaxVipRows) {
    node.complain(
        fmt::format("has {} pairs of address and port", total),
        fmt::format("give at most {}; leaving \"ports\" out means any port", kMaxVipRows));
  }
}

void ConfigParser::vip(const ConfigNode& node) {
  ConfigObject object(node,
                      R"(such as {"name": "web", "addresses": ["192.0.2.10"], "pool": "web"})");
  VipConfig out;
  if (const auto field = object.required("name", R"(a name for it, such as "web")")) {
    if (const auto text = name(*field, TFO_NAME_LEN - 1)) {
      out.name = *text;
      once(vip_names_, out.name, *field, "VIP name");
    }
  }
  if (const auto pool_name = pool_reference(object)) out.pool = *pool_name;
  const auto address_list = object.required("addresses", R"(its addresses: ["192.0.2.10"])");
  if (address_list) addresses(*address_list, out);
  const auto port_list = object.optional("ports");
  if (port_list) ports(*port_list, out);
  actions(object, node, out);
  if (const auto field = object.optional("originates")) {
    out.originates = field->boolean().value_or(false);
  }
  object.finish();
  // Ports that were all refused are not "any port".
  if (!port_list || port_list->is_empty_array() || !out.ports.empty()) rows(node, out);
  config_.vips.push_back(out);
}

void ConfigParser::addresses(const ConfigNode& node, VipConfig& out) {
  const std::string_view right = R"(such as ["192.0.2.10", "2001:db8::10"])";
  const auto items = node.items(kMaxVipAddresses, right);
  for (const ConfigNode& item : items) {
    const auto text = item.text("one IPv4 or IPv6 address");
    if (!text) continue;
    const auto parsed = parse_address(*text);
    if (const auto* wrong = std::get_if<std::string>(&parsed)) {
      item.complain(fmt::format("\"{}\" {}", *text, *wrong),
                    "give one unicast address, such as \"192.0.2.10\" or \"2001:db8::10\"");
      continue;
    }
    const auto& address = std::get<ConfigAddress>(parsed);
    if (std::find(out.addresses.begin(), out.addresses.end(), address) != out.addresses.end()) {
      item.complain(fmt::format("\"{}\" is given twice", *text), "remove one of the two");
      continue;
    }
    out.addresses.push_back(address);
    if (out.pool.empty()) continue;
    const auto [first, fresh] = address_pools_.try_emplace(address, out.pool, out.name);
    if (!fresh && first->second.first != out.pool) {
      item.complain(fmt::format("{} belongs to pool \"{}\" (VIP \"{}\") and to pool \"{}\"", *text,
                                first->second.first, first->second.second, out.pool),
                    "clients keep one cookie per address, whatever the port: use one pool");
    }
  }
  if (node.is_empty_array())
    node.complain("names no address", fmt::format("give addresses, {}", right));
}

void ConfigParser::ports(const ConfigNode& node, VipConfig& out) {
  const auto items = node.items(kMaxVipPorts, "such as [80, 443]; leave it out for any port");
  for (const ConfigNode& item : items) {
    const auto port = item.integer(1, 65535, "a TCP port");
    if (!port) continue;
    if (std::find(out.ports.begin(), out.ports.end(), *port) != out.ports.end()) {
      item.complain(fmt::format("port {} is given twice", *port), "remove one of the two");
      continue;
    }
    out.ports.push_back(*port);
  }
}

void ConfigParser::rows(const ConfigNode& node, const VipConfig& vip) {
  const std::vector<uint16_t> any = {0};
  for (const ConfigAddress& address : vip.addresses) {
    for (const uint16_t port : vip.ports.empty() ? any : vip.ports) {
      const auto [first, fresh] = rows_.try_emplace({address, port}, vip.name);
      if (fresh) continue;
      node.complain(fmt::format("{} port {} is already in VIP \"{}\"", address_text(address),
                                port == 0 ? "any" : std::to_string(port), first->second),
                    "a pair of address and port belongs to one VIP");
    }
  }
}

}  // namespace tfo
