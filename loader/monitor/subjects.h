// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/monitor/attack_tables.h"
#include "loader/monitor/config.h"
#include "loader/result.h"

namespace tfo {

/// Who is protected: a VIP with all its addresses, a tracked address, a declared prefix.
struct MonitorSubject {
  std::string name;  // the victim's, in alerts
  tfo_target_kind kind = TFO_TARGET_VIP;
  std::vector<MonitorPrefix> prefixes;
  /// A declared prefix: its addresses are counted one by one. It has one prefix, of at most /14
  /// (2^18 addresses) or /64.
  bool each_address = false;
  /// Those of its addresses that are this node's own.
  std::set<MonitorAddress> here = {};

  /// Are all of them? Then sockets know of connections that are older than the monitor.
  bool local() const;

  /// The same but for where it lives?
  bool same_as(const MonitorSubject& other) const {
    return name == other.name && kind == other.kind && prefixes == other.prefixes &&
           each_address == other.each_address;
  }
};

/// A row of the map of targets.
struct MonitorTarget {
  tfo_target_key key{};
  tfo_target value{};
};

/// Where a subject's addresses are counted, of a declared prefix.
struct MonitorCells {
  uint32_t first_net = 0;
  uint32_t nets = 0;  // 0: IPv6, or none
  uint32_t first_subnet = 0;
  unsigned subnet_bits = 0;  // 2^that many counters for the /64s of an IPv6 prefix

  /// tfo_target.first.
  uint32_t first() const {
    return nets != 0 ? first_net * 256 : first_subnet | subnet_bits << TFO_SUBNET_SHIFT;
  }
  bool operator==(const MonitorCells&) const = default;
};

/// Those of a subject's prefixes that lie in the same declared prefix, or in none: counted by a
/// number of their own, since the programs count them for that prefix as well.
struct MonitorPlace {
  uint16_t number = 0;
  std::string around = {};  // that prefix; empty: none

  bool operator==(const MonitorPlace&) const = default;
};

/// The subjects' numbers and the rows that make the programs count for them.
struct MonitorPlan {
  std::map<std::string, uint16_t> numbers;                  // from 1 on; by name, or place_key()
  std::map<std::string, std::vector<MonitorPlace>> places;  // by name; the first has its number
  std::map<std::string, MonitorCells> cells;                // of declared prefixes
  std::vector<MonitorTarget> targets;
};

/// Under which MonitorPlan::numbers has a subject's other places, by their first prefix.
std::string place_key(const MonitorSubject& subject, const MonitorPrefix& first);

/// `before`: numbers that names had; they keep them. Fails, naming the subject, if two are alike,
/// if a prefix has host bits, or if there is no room for `most` numbers or for all addresses.
Result<MonitorPlan> plan_monitor(const std::vector<MonitorSubject>& subjects, uint32_t most,
                                 const std::map<std::string, uint16_t>& before = {});

inline constexpr std::string_view kCarpetRule = "carpet";
inline constexpr std::string_view kSlowRule = "vip_slow";

/// The rules of the alerts that it is judged by. Many addresses of a declared prefix are one attack
/// ("carpet"); an attack on one of them is an attack, too.
std::vector<std::string_view> monitor_rules(const MonitorSubject& subject);

/// So many a second come to as many addresses anyway: kUsualBackground of IPv4, none of IPv6.
double usual_background(const MonitorSubject& subject);

/// tfo_alarm_bit() of all its addresses.
uint64_t alarm_bits(const MonitorSubject& subject);

}  // namespace tfo
