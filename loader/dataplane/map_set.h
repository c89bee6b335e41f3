// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "bpf/settings.h"
#include "bpf/tfo_abi.h"
#include "loader/dataplane/map.h"
#include "loader/dataplane/xdp_skeleton.h"
#include "loader/monitor/config.h"
#include "loader/result.h"

namespace tfo {

/// Sizes that are chosen when a set of maps is made.
struct MapSizes {
  uint32_t slots = 64;           // counter slots, the node's included; a power of two
  uint32_t vip_rows = 16384;     // rows of one side of the VIP table; a power of two
  uint32_t handshakes = 262144;  // the guard's; a power of two

  // The SYN-ACK monitor's; as they stand, nothing is monitored.
  uint32_t subjects = 1;      // number 0, which nobody has, included
  uint32_t bloom_lines = 0;   // of each filter; a power of two
  bool each_address = false;  // addresses of declared prefixes are counted

  static constexpr uint32_t kFewestHandshakes = 1024;
  static constexpr uint32_t kBloomLines = 262144;  // 8 MiB a filter: 11,400 SYNs/s

  /// For that many VIPs and (address, port) rows: twice the VIPs, so that a reload can rename them
  /// all, and a VIP table at most a third full, so that two-choice placement succeeds.
  static MapSizes for_config(size_t vips, size_t rows);
  /// Do so many VIPs and rows go in, if nothing else is there?
  bool hold(size_t vips, size_t rows) const { return vips < slots && 3 * rows <= vip_rows; }
  /// Enough for the monitor, with filters of just the size that it asks for?
  bool hold(const MonitorRoom& monitor) const;
  MapSizes with(const MonitorRoom& monitor) const;
};

/// The struct tfo_control that packets read, mapped into this process. Each switch is one aligned
/// store; switches are stored with release order, after what they make visible.
class ControlMap {
 public:
  static Result<ControlMap> map(Map control);
  uint64_t now_ns() const;
  void set_now_ns(uint64_t now) const;
  uint32_t vip_side() const;
  void set_vip_side(uint32_t side) const;
  uint32_t pool_side(uint32_t pool) const;
  void set_pool_side(uint32_t pool, uint32_t side) const;
  /// How many networks the operator's list holds.
  void set_guard_list(uint32_t count) const;
  uint32_t guard_list() const;
  /// Whose data the monitor looks at: tfo_alarm_bit() of their addresses.
  void set_monitor_alarm(uint64_t addresses) const;
  /// Fixed before the first packet.
  void set_table(const __u64 seed[2], const MapSizes& sizes) const;
  /// VIPs stand, and clients are named, under it.
  const __u64* hash_seed() const { return memory_->hash_seed; }
  uint32_t vip_mask() const { return memory_->vip_mask; }
  const Map& raw() const { return map_; }

 private:
  struct Unmap {
    void operator()(tfo_control* memory) const;
  };
  ControlMap(Map map, tfo_control* memory) : map_(std::move(map)), memory_(memory) {}
  Map map_;
  std::unique_ptr<tfo_control, Unmap> memory_;
};

/// Random, for ControlMap::set_table().
Result<std::array<__u64, 2>> new_seed();

/// The maps of the guard (bpf/tfo_guard_abi.h).
struct GuardMaps {
  Map handshake_bits;
  Map handshakes;                // tfo_handshake_set
  Map heads;                     // tfo_guard_heads
  Map rows;                      // tfo_guard_row
  Map retries;                   // tfo_retry_set
  ArrayMap<tfo_guard> settings;  // by tfo_settings_index()
  ArrayMap<tfo_guard_vip> vips;
  Map stats;                          // tfo_guard_counters, per CPU
  ArrayMap<tfo_guard_counters> base;  // what older sets counted
  Map list;    // longest prefix match: tfo_guard_list_key, tfo_guard_list_entry
  Map events;  // ring of tfo_guard_event
};

/// The maps of the SYN-ACK monitor (bpf/tfo_monitor_abi.h).
struct MonitorMaps {
  Map targets;  // longest prefix match: tfo_target_key, tfo_target
  Map bloom;    // tfo_bloom_line, both filters
  Map sources;
  Map heavy;       // tfo_heavy_source
  Map stats;       // tfo_monitor_counters by subject, per CPU
  Map reflectors;  // tfo_hll by subject
  Map cpus;        // tfo_monitor_cpu, per CPU
  Map cells;
  Map net_stats;  // tfo_tally, per CPU
  Map hit_maps;   // tfo_hit_map
  Map subnets;    // tfo_tally
  Map recent;
  Map sent;
  Map samples;  // ring of tfo_sample
};

/// One set of maps: everything that the loads of a node share. Pinned by open_pins() and pin(), or
/// private to the process (bench, replay, tests).
struct MapSet {
  ArrayMap<tfo_vip> vips;
  ArrayMap<tfo_ring> rings;  // pool * 2 + side
  Map stats;                 // per CPU
  ArrayMap<tfo_counters> stats_base;
  ArrayMap<tfo_slot_name> slot_names;
  ArrayMap<tfo_policy> policies;       // by tfo_settings_index()
  ArrayMap<tfo_trigger> triggers;      // by slot
  ArrayMap<tfo_slot_name> pool_names;  // who owns a pool number; user space only
  ArrayMap<tfo_meta> meta;
  Map clock;
  ControlMap control;
  GuardMaps guard;
  MonitorMaps monitor;

  /// New and empty, with a new hash seed. meta is not written yet: see mark_ready().
  static Result<MapSet> create(const MapSizes& sizes);

  /// The set pinned in `directory`. Fails if it is not whole or of another layout; the message is
  /// the reason in words.
  static Result<MapSet> open_pins(const std::filesystem::path& directory);

  /// Pins every map in `directory`, which exists.
  Result<> pin(const std::filesystem::path& directory) const;

  /// Gives these maps to an object that declares them (bpf/maps.h) and is opened, not loaded.
  Result<> share_with(bpf_object* object) const;

  /// Writes meta: the set is complete, programs may use it.
  Result<> mark_ready() const;

  MapSizes sizes() const;
  std::vector<const Map*> all() const;

  /// Of the settings that packets go by now.
  uint32_t settings_index(uint32_t slot) const {
    return tfo_settings_index(slot, control.vip_side() != 0 ? TFO_VIP_SECOND : 0);
  }
};

/// What meta says of the set pinned in `directory`, whatever its layout; fails if there is none or
/// it was never marked ready.
Result<tfo_meta> read_meta(const std::filesystem::path& directory);

}  // namespace tfo
