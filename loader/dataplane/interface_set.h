// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/map_set.h"
#include "loader/dataplane/pins.h"
#include "loader/dataplane/program.h"
#include "loader/dataplane/xdp_link.h"

namespace tfo {

/// The interfaces of an instance: one load of the program and one pinned link each.
class InterfaceSet {
 public:
  /// See Dataplane::set_interfaces(). All loads are made on `maps`.
  Result<> assign(const PinDirectory& pins, const MapSet& maps,
                  const std::vector<InterfaceConfig>& interfaces);

  /// Fresh loads on other maps for the interfaces that are there. Fails without any effect if a
  /// program cannot be loaded.
  Result<> move_to(const PinDirectory& pins, const MapSet& maps);

  /// See Dataplane::reconcile().
  bool reconcile(const PinDirectory& pins, const MapSet& maps);

  /// Everything off the wire, links of earlier processes included. Returns the names.
  std::vector<std::string> detach_all(const PinDirectory& pins);

  const std::vector<InterfaceStatus>& status() const { return status_; }
  bool empty() const { return entries_.empty(); }
  /// See Dataplane::program_use().
  std::vector<ProgramUse> program_use() const;
  /// See Dataplane::tracking_gaps().
  uint64_t tracking_gaps() const { return tracking_gaps_; }

 private:
  struct Entry {
    InterfaceConfig config;
    Device device;                         // ifindex 0: not there
    std::unique_ptr<XdpSkeleton> program;  // null while not there
    std::unique_ptr<XdpLink> link;
    std::unique_ptr<EgressSkeleton> egress = {};  // null unless it is wanted
    bool sees_egress = false;
    std::string egress_error = {};
    InterfaceState state = InterfaceState::kGone;
    std::string detail;
    bool attached_now = false;
    bool change_mode = false;
  };

  Result<std::vector<Entry>> load_all(const MapSet& maps,
                                      const std::vector<InterfaceConfig>& interfaces) const;
  static Result<> adopt_link(const PinDirectory& pins, Entry& entry);
  static Result<> attach(const PinDirectory& pins, Entry& entry);
  static Result<> change_mode(const PinDirectory& pins, Entry& entry);
  static void update(const PinDirectory& pins, Entry& entry);
  static void drop(const PinDirectory& pins, Entry& entry);
  void put_egress(const PinDirectory& pins, Entry& entry);
  bool check_egress(const PinDirectory& pins, Entry& entry);
  bool check(const PinDirectory& pins, const MapSet& maps, Entry& entry);
  void retire(const Entry& entry);
  void publish();

  std::vector<Entry> entries_;
  std::vector<InterfaceStatus> status_;
  uint64_t tracking_gaps_ = 0;
  ProgramCost xdp_before_;                    // of programs that are gone
  std::optional<ProgramCost> egress_before_;  // none: there was no such program
};

/// Detaches and unpins the link of one interface, whoever pinned it.
void remove_link(const PinDirectory& pins, const std::string& interface);

}  // namespace tfo
