// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader/alert/view.h"
#include "loader/guard/view.h"
#include "loader/monitor/view.h"
#include "loader/observe/conditions.h"
#include "loader/observe/kernel_mib.h"
#include "loader/observe/process.h"
#include "loader/observe/snapshot.h"
#include "loader/rotation/tally.h"
#include "loader/server/listeners.h"

namespace tfo {

/// A key as it may be shown.
struct KeyView {
  std::string id;  // 16 hex digits
  std::string fingerprint;
  std::string place;       // current, previous, staged, retired, revoked
  int64_t created_at = 0;  // unix seconds
  int64_t not_after = 0;   // unix seconds; 0 = no end
};

struct PoolView {
  std::string name;
  std::string store;                     // KeyStore::kind()
  std::string state;                     // to_string(Phase)
  std::optional<int64_t> next_rotation;  // unix seconds
  std::vector<std::string> missing;      // sinks without the present ring
  std::vector<KeyView> keys;
  std::vector<std::pair<std::string, uint64_t>> repairs = {};  // PoolStatus::repairs
  nlohmann::json farm_reports = nullptr;  // rotation::FarmReports, on a validator of a shared pool
  std::optional<rotation::Tally> farm = {};  // of a pool that a farm shares through etcd
};

struct InterfaceView {
  std::string name;
  unsigned ifindex = 0;  // 0 while gone
  std::string mode;      // native, generic, gone, failed
  std::string detail;    // why, if not native
  bool egress = false;   // what leaves is seen, too
  bool tracks = false;   // the monitor sees the SYNs that leave
  std::string tag = {};  // of the XDP program, as the kernel has it; empty: none is there
  std::string egress_tag = {};
};

struct NamespaceView {
  std::string name;  // "self", a name under /run/netns, or a path
  std::string pool;
  std::string server_bit;  // to_string(ServerBit): what it is to be; "unmanaged"
  uint64_t server_bit_repairs = 0;
  ListenerReport listeners;  // at most NamespaceWatch::kListeners seconds old
  std::optional<KernelMib> mib;
  std::optional<uint64_t> resets_out = {};  // OutRsts
};

/// What the configuration says of a pool, whether its keys can be had or not.
struct PoolConfigView {
  std::string name;
  std::string source;  // "file", "derived", "etcd"
};

/// What the configuration says of a VIP.
struct VipConfigView {
  std::string name;
  std::string pool;
  std::string mode;
  bool renew = false;
  std::string on_invalid;
};

/// What all programs of one name cost since tfod began, whichever was in force.
struct ProgramCostView {
  std::string program;
  uint64_t runs = 0;
  uint64_t ns = 0;
};

struct MapView {
  std::string map;
  uint64_t capacity = 0;
  std::optional<uint64_t> entries = {};  // none: they would have to be counted one by one
};

/// A consistent picture of a running tfod, without secrets: what status, stats and /metrics are
/// made of. Copied out of the event loop, so that another thread may turn it into text.
struct View {
  std::string version;
  std::string instance;
  int pid = 0;
  int64_t now = 0;         // unix seconds
  int64_t started_at = 0;  // unix seconds
  double uptime_s = 0;
  std::string revision;  // of the source; "unknown"
  std::string kernel;    // its release
  ProcessView process;
  std::string http;  // address and port really bound; empty = off
  bool adopted = false;
  std::vector<InterfaceView> interfaces;
  std::vector<PoolView> pools;
  std::vector<PoolConfigView> configured_pools;
  std::vector<VipConfigView> configured_vips;
  std::vector<MapView> maps;
  bool bpf_stats = false;  // kernel.bpf_stats_enabled
  std::vector<ProgramCostView> programs;
  std::vector<NamespaceView> namespaces;
  std::vector<GuardVipView> guard;
  std::optional<MonitorView> monitor = {};  // none: nothing is watched
  std::vector<Condition> conditions;
  alert::Overview alerts;
  Snapshot counters;
};

}  // namespace tfo
