// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/watchlist.h"

#include <algorithm>
#include <set>

namespace tfo {
namespace {

/// VIPs' addresses; one that has several VIPs is the first one's, and originates if any of them
/// says so.
void add_vips(const Config& config, std::vector<MonitorSubject>& out) {
  std::set<ConfigAddress> originate, taken;
  for (const VipConfig& vip : config.vips) {
    if (vip.originates) originate.insert(vip.addresses.begin(), vip.addresses.end());
  }
  for (const VipConfig& vip : config.vips) {
    MonitorSubject subject{.name = vip.name, .kind = TFO_TARGET_VIP, .prefixes = {}};
    for (const ConfigAddress& address : vip.addresses) {
      if (!taken.insert(address).second) continue;
      subject.prefixes.push_back({.address = address});
      if (originate.contains(address)) subject.kind = TFO_TARGET_TRACKED;
    }
    if (!subject.prefixes.empty()) out.push_back(std::move(subject));
  }
}

}  // namespace

Watchlist watchlist_of(const Config& config) {
  Watchlist list;
  if (config.interfaces.empty()) return list;
  if (config.monitor.vips) add_vips(config, list.subjects);
  for (const TrackedConfig& one : config.monitor.tracked) {
    list.subjects.push_back(
        {.name = one.name, .kind = TFO_TARGET_TRACKED, .prefixes = one.prefixes});
  }
  for (const DeclaredPrefix& one : config.monitor.prefixes) {
    list.subjects.push_back({.name = one.name,
                             .kind = one.kind,
                             .prefixes = {one.prefix},
                             .each_address = one.each_address});
    list.each_address = list.each_address || one.each_address;
  }
  const bool tracks = std::ranges::find(list.subjects, TFO_TARGET_TRACKED, &MonitorSubject::kind) !=
                      list.subjects.end();
  if (tracks) list.bloom_lines = config.monitor.bloom_lines.value_or(MapSizes::kBloomLines);
  return list;
}

bool watches_syns(const Config& config) {
  return std::ranges::any_of(watchlist_of(config).subjects, [](const MonitorSubject& subject) {
    return subject.kind != TFO_TARGET_VIP;
  });
}

uint8_t monitor_bits(const Config& config) {
  const Watchlist list = watchlist_of(config);
  if (list.subjects.empty()) return 0;
  return list.bloom_lines == 0 ? TFO_MONITOR_ON : TFO_MONITOR_ON | TFO_MONITOR_SOCKETS;
}

}  // namespace tfo
