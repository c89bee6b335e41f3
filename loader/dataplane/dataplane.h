// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/config.h"
#include "loader/dataplane/program_cost.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/observe/snapshot.h"
#include "loader/result.h"

namespace tfo {

struct KeyRing;
class GuardTables;
class KeySink;
struct MapSet;

/// How an interface is served at the moment.
enum class InterfaceState {
  kNative,   // XDP in the driver
  kGeneric,  // XDP in the stack: slower, to be reported loudly
  kGone,     // the interface does not exist (any more); attached again by reconcile()
  kFailed,   // it came back and could not be attached; `detail` says why; reconcile() tries again
};

/// "native", "generic", "gone" or "failed".
const char* interface_state_name(InterfaceState state);

struct InterfaceStatus {
  std::string name;
  unsigned ifindex = 0;  // 0 while gone
  InterfaceState state = InterfaceState::kGone;
  bool l3_device = false;         // frames start with the IP header
  bool egress = false;            // what leaves is seen, too: see InterfaceConfig::egress
  bool tracks = false;            // SYNs that leave are: see InterfaceConfig::tracks
  std::string egress_error = {};  // why not, though it is wanted
  std::string detail;    // why generic, gone or failed, and what to do; empty when all is well
  std::string tag = {};  // program_tag() of the XDP program; empty: none is attached
  std::string egress_tag = {};  // of the egress program, likewise
};

/// What one kind of program cost since open(): every load of it that was in force.
struct ProgramUse {
  std::string program;  // "tfo_xdp", "tfo_egress"
  ProgramCost cost;
};

/// How full a map is.
struct MapUse {
  std::string map;
  uint64_t capacity = 0;
  std::optional<uint64_t> entries;  // nothing: they would have to be counted one by one
};

struct DataplaneOptions {
  /// `<bpffs>/tfoguard/<instance>`. Created (0700) if its bpffs is mounted.
  std::filesystem::path pin_directory;
  /// VIPs of the configuration: decides the size of new maps (never shrinks existing ones).
  size_t vips = 0;
  /// Rows (address, port) of the configuration, likewise.
  size_t vip_rows = 0;
  /// Of the guard's tables, a power of two; existing maps with another number are replaced.
  uint32_t handshakes = 262144;
  /// Of the SYN-ACK monitor; existing maps that lack it are replaced.
  MonitorRoom monitor = {};
  /// CLOCK_REALTIME - CLOCK_BOOTTIME in ns; empty: the system's clocks.
  std::function<int64_t()> boot_offset_ns;
  /// Called at every step whose order matters for a crash, with the step's name. For tests.
  std::function<void(const char* step)> checkpoint;
};

/// The data plane of one instance: one set of pinned maps, one load of the XDP program per
/// interface. The only door to libbpf. Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; `open` also
/// the right to create the pin directory. Not thread-safe: one thread owns it.
///
/// Order at start-up: open, set_ring for every pool, set_vips, set_interfaces, keep. Until keep()
/// the destructor of a data plane that found nothing pinned takes everything off the wire again, so
/// that a failed first start leaves nothing behind. After it, maps and links outlive the process:
/// packets go on being validated and counted, and the next open() adopts them without losing one.
/// Maps of another layout or size are replaced by new ones; set_interfaces() switches the programs
/// over and carries the totals.
class Dataplane {
 public:
  /// Adopts what is pinned, or creates it. Fails if bpffs is not mounted, if another process holds
  /// the same pin directory, or if a capability is missing; each error says what to do.
  static Result<Dataplane> open(DataplaneOptions options);

  Dataplane(Dataplane&&) noexcept;
  Dataplane& operator=(Dataplane&&) noexcept;
  ~Dataplane();

  /// Start-up is complete: what is pinned stays when this object goes.
  void keep();

  /// True if open() found the pins of an earlier process and took them over.
  bool adopted() const;

  /// Replaces the keys of a pool in one step: no packet sees half a ring. `not_after` is turned
  /// into boot time, so call it again after the wall clock stepped. A pool is known by its name; up
  /// to TFO_MAX_POOLS of them.
  Result<> set_ring(const std::string& pool, const KeyRing& ring);

  /// Packets are judged by these keys of the pool already, in these places. False for a pool that
  /// is not known.
  bool has_keys(const std::string& pool, const KeyRing& ring) const;

  /// set_ring() as the sink of one pool's keys. Must not outlive the Dataplane.
  std::unique_ptr<KeySink> key_sink(const std::string& pool);

  /// Replaces all VIPs in one step. Set the rings of all their pools first: a pool without one
  /// counts no_key. Counters stay with a VIP's name; those of a removed VIP are kept until another
  /// needs their place. Pools that no VIP uses any more lose their keys. Larger maps are made, and
  /// the programs moved to them, if the present ones are too small, for the monitor as well.
  Result<> set_vips(const std::vector<VipConfig>& vips, const MonitorRoom& monitor = {});

  /// What became known of the servers of a VIP, as it is configured: it goes by that from now on,
  /// and so does the VIP of this name in a later set_vips().
  Result<> set_servers(const VipConfig& vip, const ServerFacts& facts);
  /// What the programs remember of a VIP's rates; times are boot time in ns.
  Result<tfo_trigger> trigger(const std::string& vip) const;

  /// What the guard holds, by counter slots. Another object once set_vips() has made larger maps.
  GuardTables& guard() const;
  /// The maps in force; another object whenever guard() is.
  const MapSet& maps() const;
  /// How often an interface's SYNs were not seen to leave until now, though they should have been.
  uint64_t tracking_gaps() const;
  /// The counter slot of a VIP, and whose a slot is (empty: nobody's).
  std::optional<uint32_t> slot_of(const std::string& vip) const;
  std::string vip_of(uint32_t slot) const;

  /// Attaches to exactly these interfaces: new ones are attached, the others get a fresh program in
  /// place of the old one without a packet passing unvalidated, those not named are detached. All
  /// or nothing: if one new interface cannot be attached, the others stay as they were and the
  /// error names it.
  Result<> set_interfaces(const std::vector<InterfaceConfig>& interfaces);

  /// Call after link events: notices interfaces that vanished and attaches those that are back.
  /// Returns true if the state of any interface changed.
  Result<bool> reconcile();

  const std::vector<InterfaceStatus>& interfaces() const;

  /// All counters now.
  Result<Snapshot> counters() const;

  /// Programs that are or were attached; they never go back, whatever is loaded anew.
  std::vector<ProgramUse> program_use() const;
  /// All maps of more than one entry, but for the rings of events. Reads none of them.
  std::vector<MapUse> map_use() const;

  /// Takes every program off the wire and removes every pin. Afterwards only destruction is
  /// allowed.
  Result<> detach_all();

  /// The same without a daemon. Fails if one runs on this directory (ask it instead). Returns the
  /// names of the interfaces detached; empty if nothing was pinned in a BPF file system that could
  /// be read.
  static Result<std::vector<std::string>> detach(const std::filesystem::path& pin_directory);

 private:
  class Impl;
  explicit Dataplane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tfo
