// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <string>
#include <utility>

#include "loader/config.h"
#include "loader/config_reader.h"

namespace tfo {

/// Of a path: PATH_MAX less what we append.
inline constexpr size_t kMostPath = 4000;

/// Turns a JSON document into a Config, one method per section. Remembers what was named where, so
/// that a double is reported with both places.
class ConfigParser {
 public:
  explicit ConfigParser(Complaints& complaints) : complaints_(complaints) {}

  /// Only meaningful if nothing was complained about.
  Config parse(const nlohmann::json& document);

 private:
  using Seen = std::map<std::string, std::string>;  // what -> path of its first use

  /// Complains at `node` if `what` was seen before.
  void once(Seen& seen, const std::string& what, const ConfigNode& node, const std::string& kind);

  std::optional<std::string> name(const ConfigNode& node, size_t longest);
  std::optional<std::string> absolute_path(const ConfigNode& node, size_t longest);
  void plain_fields(ConfigObject& root);

  void interfaces(const ConfigNode& node);
  void interface(const ConfigNode& node);
  void decap(const ConfigNode& node, InterfaceConfig& out);

  void pools(const ConfigNode& node);
  void pool(const std::string& pool_name, const ConfigNode& node);
  void pool_file(ConfigObject& object, const ConfigNode& node, PoolConfig& out);
  void pool_secret(ConfigObject& object, PoolConfig& out);
  void pool_etcd(ConfigObject& object, const ConfigNode& node, PoolConfig& out);
  void pool_membership(ConfigObject& object, PoolConfig& out);
  /// Complains about each of `fields` that is there: it belongs to another store.
  static void refuse_fields(ConfigObject& object, const std::vector<std::string_view>& fields,
                            const std::string& store, const std::string& right);
  void pool_lifetimes(ConfigObject& object, PoolConfig& out);
  std::optional<std::chrono::seconds> pool_interval(const ConfigNode& field, StoreKind store);

  void vips(const ConfigNode& node);
  void vip(const ConfigNode& node);
  void actions(ConfigObject& object, const ConfigNode& node, VipConfig& out);
  static void mode(ConfigObject& object, const ConfigNode& node, VipConfig& out);
  void renew(ConfigObject& object, VipConfig& out);
  static void policy(ConfigObject& object, PolicyConfig& out);
  static void rates(ConfigObject& object, PolicyConfig& out);
  static void guard(const ConfigNode& node, GuardConfig& out);
  void guard_tables(const ConfigNode& node);
  void addresses(const ConfigNode& node, VipConfig& out);
  void ports(const ConfigNode& node, VipConfig& out);
  void rows(const ConfigNode& node, const VipConfig& vip);

  void server(const ConfigNode& node);
  void server_namespace(const ConfigNode& node, ServerConfig& role);
  void http(const ConfigNode& node);
  void http_tls(const ConfigNode& node);

  void monitor(const ConfigNode& node);
  void monitor_lines(const ConfigNode& node);
  void monitor_name(ConfigObject& object, std::string& out);
  void monitor_network(const ConfigNode& node, const MonitorPrefix& network);
  void monitor_tracked(const ConfigNode& node);
  void monitor_prefix(const ConfigNode& node);
  static void monitor_kind(ConfigObject& object, const ConfigNode& node, DeclaredPrefix& out);
  void monitor_targets(const ConfigNode& node);
  void monitor_cells(const ConfigNode& node);
  void monitor_interfaces();

  void alerts(const ConfigNode& node);
  void alert_rules(const ConfigNode& node);
  static void alert_rule(const ConfigNode& node, alert::Rule& rule);
  static void alert_level(const ConfigNode& node, Severity severity, alert::Rule& rule);
  void alertmanager(const ConfigNode& node);
  void alert_command(const ConfigNode& node);

  void farm(const ConfigNode& node);
  static void farm_node(ConfigObject& object, const ConfigNode& node, FarmConfig& out);
  void farm_etcd(const ConfigNode& node, FarmConfig& out);
  static void farm_endpoints(const ConfigNode& node, FarmConfig& out);
  /// Complains if there are pools of the store "etcd" and no farm.
  void farm_needed(bool given);
  /// Complains at `node` unless `text` can be a part of etcd's keys.
  static bool farm_name(const ConfigNode& node, const std::string& text);

  /// Complains unless `node` names a pool; the pools are read first.
  std::optional<std::string> pool_reference(ConfigObject& object);

  Complaints& complaints_;
  Config config_;
  Seen pool_names_;  // even of pools that were refused, so that their users are not refused too
  Seen pool_files_;
  Seen interface_names_;
  Seen vip_names_;
  Seen namespaces_;
  Seen monitored_;  // networks of the section monitor
  std::map<ConfigAddress, std::pair<std::string, std::string>> address_pools_;  // -> (pool, VIP)
  std::map<std::pair<ConfigAddress, uint16_t>, std::string> rows_;  // (address, port) -> VIP name
};

}  // namespace tfo
