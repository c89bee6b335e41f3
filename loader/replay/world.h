// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/capture/link.h"
#include "loader/config.h"
#include "loader/dataplane/private_load.h"
#include "loader/keys/ring.h"
#include "loader/replay/alarms.h"
#include "loader/replay/derived_rings.h"
#include "loader/replay/renewal_rules.h"

namespace tfo {

/// What the program made of one frame.
struct Judgement {
  tfo_reason reason = TFO_INTERNAL_ERROR;
  tfo_option_kind option = TFO_OPTION_NONE;  // kind of the last Fast Open option seen
  bool data = false;                         // the segment carries data
  tfo_action verdict = TFO_PASS;             // what was done
  tfo_action would = TFO_PASS;               // what enforce would have done
  uint32_t slot = TFO_NODE_SLOT;             // of the VIP; see ReplayWorld::vip_name()

  bool rewritten() const { return verdict == TFO_RENEW || verdict == TFO_DEMOTE; }
};

/// The XDP program as it runs on one interface of the node that is replayed. The hooks of a node
/// share maps, keys and clock, as they do live.
class ReplayHook {
 public:
  /// Runs the program once (BPF_PROG_TEST_RUN). The captured part is filled up with zeros to the
  /// length on the wire. `out`, if given, gets the frame as the program left it. None if the frame
  /// is longer than the kernel takes in a test run.
  Result<std::optional<Judgement>> judge(const EthernetFrame& frame, std::vector<uint8_t>* out);

  const tfo_load_config& config() const { return config_; }

 private:
  friend class ReplayWorld;
  ReplayHook(XdpSkeleton program, const tfo_load_config& config);
  Result<XdpSkeleton*> program_for(const EthernetFrame& frame, std::span<const uint8_t> whole);
  XdpSkeleton program_;
  tfo_load_config config_;
  // Where there is a monitor: judges what leaves, which comes to no hook of it.
  std::optional<XdpSkeleton> unmonitored_;
  ReplayAlarms* alarms_ = nullptr;
  std::vector<uint8_t> padded_;
};

/// A node to replay captures on: the programs of the wire on maps of their own, with VIPs, keys and
/// a clock that follows the capture. Neither a daemon nor its maps are touched. Needs the
/// privileges to load BPF programs.
class ReplayWorld {
 public:
  /// Every destination is one VIP whose name is "any"; the first key is current, the others are
  /// previous. No keys: cookies count no_key. At most TFO_MAX_GENERATIONS keys.
  static Result<ReplayWorld> for_keys(const std::vector<Key>& keys, uint8_t decap = 0);

  /// The VIPs and interfaces of a configuration, with the keys that its pools' files hold now;
  /// derived pools have the keys of the capture's time.
  static Result<ReplayWorld> for_config(const Config& config);

  /// These VIPs with the rings of their pools, whose times are unix time, behind these interfaces
  /// (at least one). `monitored`: whose SYN-ACK monitor and alerts run; none: the monitor is off.
  static Result<ReplayWorld> make(const std::vector<VipConfig>& vips,
                                  std::map<std::string, KeyRing> rings,
                                  const std::vector<InterfaceConfig>& interfaces,
                                  bool every_vip = false, const Config* monitored = nullptr);

  /// The hook of the interface of that name; of the first one, if there is none of that name.
  ReplayHook& hook(const std::string& interface);

  /// Moves the clock to a frame's stamp (unix ns). Stamps that go back by less than a second, as
  /// those of several interfaces do, leave it where it is; a larger step back is followed. False
  /// for such a step. 0, of a frame without a stamp, leaves it too; it begins with the present.
  /// An error: the keys of that time could not be put in force.
  Result<bool> set_now(uint64_t time_ns);
  uint64_t now_ns() const { return now_ns_; }

  /// Name of the VIP that owns a counter slot; empty for TFO_NODE_SLOT.
  const std::string& vip_name(uint32_t slot) const;
  /// Name of the key pool of that VIP; empty for TFO_NODE_SLOT.
  const std::string& pool_name(uint32_t slot) const;
  /// The keys that frames to a slot's VIP are checked with. Secret! Empty for TFO_NODE_SLOT.
  const KeyRing& ring(uint32_t slot) const;
  /// What that VIP's configuration says of actions; that of TFO_NODE_SLOT: nothing is done.
  VipPolicy policy(uint32_t slot) const;
  /// Alerts about SYN-ACKs that answer no SYN; nullptr: the monitor is off.
  const ReplayAlarms* alarms() const { return alarms_.get(); }
  /// The capture is over: what its last second counted is judged, too.
  Result<> finish() { return alarms_ ? alarms_->finish() : Result<>{}; }
  /// Every frame's destination counts as a VIP.
  bool every_vip() const { return every_vip_; }

  Result<Snapshot> counters() const { return load_->counters(); }

 private:
  ReplayWorld(std::unique_ptr<PrivateLoad> load, bool every_vip)
      : load_(std::move(load)), every_vip_(every_vip) {}
  Result<> add_hook(const InterfaceConfig& interface);
  Result<ReplayHook> load_hook(const tfo_load_config& config);
  Result<> set_ring(const std::string& pool, const KeyRing& ring);

  std::unique_ptr<PrivateLoad> load_;
  bool every_vip_;
  std::unique_ptr<ReplayAlarms> alarms_;
  std::deque<ReplayHook> hooks_;                // a deque: hooks stay where they are
  std::map<std::string, ReplayHook*> by_name_;  // interfaces of the configuration
  std::map<std::string, KeyRing> rings_;        // by pool
  DerivedRings derived_;
  std::map<uint32_t, std::string> pool_of_;  // by slot
  std::map<uint32_t, VipPolicy> policies_;   // by slot
  uint64_t now_ns_ = 0;
};

}  // namespace tfo
