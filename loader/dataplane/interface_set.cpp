// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/interface_set.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>

#include "loader/dataplane/egress_hook.h"
#include "loader/log.h"

namespace tfo {
namespace {

tfo_load_config load_config_of(const InterfaceConfig& config, const Device& device) {
  tfo_load_config load{};
  load.ifindex = device.ifindex;
  load.l3_device = device.l3 ? 1 : 0;
  load.decap = config.decap;
  load.gue_port = htons(config.gue_port);
  load.partial = device.partial ? 1 : 0;
  load.guard = config.guard ? 1 : 0;
  load.monitor = config.monitor;
  return load;
}

/// Of the egress program.
tfo_load_config outgoing_config_of(const InterfaceConfig& config, const Device& device) {
  tfo_load_config load = load_config_of(config, device);
  load.monitor = config.tracks;
  load.monitor_only = config.egress ? 0 : 1;
  return load;
}

Result<XdpSkeleton> load_for(const MapSet& maps, const InterfaceConfig& config,
                             const Device& device) {
  auto program = load_program(maps, load_config_of(config, device));
  if (!program) return program;
  auto started = start_clock(*program);
  if (!started) return tl::unexpected(started.error());
  return program;
}

/// Null where nobody wants it.
Result<std::unique_ptr<EgressSkeleton>> load_egress_for(const MapSet& maps,
                                                        const InterfaceConfig& config,
                                                        const Device& device) {
  if (!config.egress && config.tracks == 0) return nullptr;
  auto program = load_egress(maps, outgoing_config_of(config, device));
  if (!program) return tl::unexpected(std::move(program).error());
  return std::make_unique<EgressSkeleton>(std::move(*program));
}

int xdp_fd(const XdpSkeleton& program) { return bpf_program__fd(program->progs.tfo_xdp); }

int egress_fd(const EgressSkeleton& program) { return bpf_program__fd(program->progs.tfo_egress); }

}  // namespace

void remove_link(const PinDirectory& pins, const std::string& interface) {
  const auto path = pins.link(interface);
  if (auto link = XdpLink::open_pin(path)) link->detach();
  unlink(path.c_str());
}

Result<std::vector<InterfaceSet::Entry>> InterfaceSet::load_all(
    const MapSet& maps, const std::vector<InterfaceConfig>& interfaces) const {
  std::vector<Entry> entries;
  for (const auto& config : interfaces) {
    Entry entry{.config = config, .device = {}, .program = {}, .link = {}, .detail = {}};
    const bool known = std::any_of(entries_.begin(), entries_.end(),
                                   [&](const Entry& e) { return e.config.name == config.name; });
    auto device = find_device(config.name);
    if (!device && known) {
      entry.detail = device.error().message;
      entries.push_back(std::move(entry));
      continue;
    }
    if (!device) return tl::unexpected(std::move(device).error());
    entry.device = *device;
    auto program = load_for(maps, config, *device);
    if (!program) return tl::unexpected(std::move(program).error().in("interface " + config.name));
    entry.program = std::make_unique<XdpSkeleton>(std::move(*program));
    auto egress = load_egress_for(maps, config, *device);
    if (!egress) return tl::unexpected(std::move(egress).error().in("interface " + config.name));
    entry.egress = std::move(*egress);
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// Takes over a pinned link that sits on the device as it is now; another one is stale.
Result<> InterfaceSet::adopt_link(const PinDirectory& pins, Entry& entry) {
  if (!entry.program || access(pins.link(entry.config.name).c_str(), F_OK) != 0) return {};
  auto link = XdpLink::open_pin(pins.link(entry.config.name));
  if (!link) return tl::unexpected(std::move(link).error());
  if (!link->serves(entry.device.ifindex)) return {};
  const bool generic = is_generic(entry.device.ifindex);
  entry.change_mode = generic ? entry.config.mode == AttachMode::kNative
                              : entry.config.mode == AttachMode::kGeneric;
  if (generic) {
    entry.detail =
        entry.config.mode == AttachMode::kGeneric
            ? "generic XDP, as configured"
            : "generic XDP, slower: taken over from an earlier start; `tfoctl detach` and "
              "a new start try native again";
  }
  entry.link = std::make_unique<XdpLink>(std::move(*link));
  return {};
}

Result<> InterfaceSet::attach(const PinDirectory& pins, Entry& entry) {
  std::string note;
  auto link = XdpLink::attach(xdp_fd(*entry.program), entry.device, entry.config.mode,
                              pins.instances(), note);
  if (!link) return tl::unexpected(std::move(link).error());
  pins.step("link_attached");
  const auto path = pins.link(entry.config.name);
  unlink(path.c_str());
  auto pinned = link->pin(path);
  if (!pinned) return pinned;
  pins.step("link_pinned");
  entry.link = std::make_unique<XdpLink>(std::move(*link));
  entry.detail = note;
  entry.attached_now = true;
  return {};
}

/// Native and generic cannot overlap on one interface: a short gap is unavoidable.
Result<> InterfaceSet::change_mode(const PinDirectory& pins, Entry& entry) {
  const AttachMode wanted = entry.config.mode;
  entry.link->detach();
  entry.link.reset();
  auto attached = attach(pins, entry);
  if (attached) return {};
  entry.config.mode = AttachMode::kAuto;
  auto restored = attach(pins, entry);
  entry.config.mode = wanted;
  return attached;
}

void InterfaceSet::drop(const PinDirectory& pins, Entry& entry) {
  remove_link(pins, entry.config.name);
  remove_egress(pins, entry.config.name);
  entry.link.reset();
  entry.egress.reset();
  entry.sees_egress = false;
  entry.program.reset();
  entry.device.ifindex = 0;
}

/// What leaves is worth less than what comes: without it the guard is not exact, and that is said.
void InterfaceSet::put_egress(const PinDirectory& pins, Entry& entry) {
  entry.sees_egress = false;
  entry.egress_error.clear();
  if (!entry.egress) return;
  if (entry.config.tracks != 0 &&
      !is_egress_attached(pins, entry.config.name, entry.device.ifindex)) {
    ++tracking_gaps_;
  }
  auto done =
      attach_egress(pins, entry.config.name, entry.device.ifindex, egress_fd(*entry.egress));
  pins.step("egress_attached");
  entry.sees_egress = done.has_value();
  if (!done) entry.egress_error = done.error().message;
}

bool InterfaceSet::check_egress(const PinDirectory& pins, Entry& entry) {
  if (!entry.egress ||
      (entry.sees_egress && is_egress_attached(pins, entry.config.name, entry.device.ifindex))) {
    return false;
  }
  const bool before = entry.sees_egress;
  put_egress(pins, entry);
  return before || entry.sees_egress;
}

void InterfaceSet::update(const PinDirectory& pins, Entry& entry) {
  auto updated = entry.link->update(xdp_fd(*entry.program));
  pins.step("link_updated");
  if (updated && *updated) return;
  entry.state = updated ? InterfaceState::kGone : InterfaceState::kFailed;
  entry.detail = updated ? "the interface has just gone" : updated.error().message;
  drop(pins, entry);
}

Result<> InterfaceSet::assign(const PinDirectory& pins, const MapSet& maps,
                              const std::vector<InterfaceConfig>& interfaces) {
  auto fresh = load_all(maps, interfaces);
  if (!fresh) return tl::unexpected(std::move(fresh).error());
  Result<> done;
  for (auto& entry : *fresh) {
    if (done) done = adopt_link(pins, entry);
    if (done && entry.program && !entry.link) done = attach(pins, entry);
  }
  for (auto& entry : *fresh) {
    if (done && entry.change_mode) done = change_mode(pins, entry);
  }
  if (!done) {
    for (auto& entry : *fresh) {
      if (entry.attached_now && !entry.change_mode) drop(pins, entry);
    }
    return done;
  }
  for (auto& entry : *fresh) {
    if (entry.link && !entry.attached_now) update(pins, entry);
  }
  for (auto& entry : *fresh) {
    if (entry.link) put_egress(pins, entry);
  }
  for (const auto& name : pins.egresses()) {
    const bool kept = std::any_of(fresh->begin(), fresh->end(), [&](const Entry& e) {
      return e.config.name == name && e.sees_egress;
    });
    if (!kept) remove_egress(pins, name);
  }
  for (const auto& name : pins.links()) {
    const bool kept = std::any_of(fresh->begin(), fresh->end(),
                                  [&](const Entry& e) { return e.config.name == name && e.link; });
    if (!kept) remove_link(pins, name);
  }
  for (const Entry& entry : entries_) retire(entry);
  entries_ = std::move(*fresh);
  pins.step("links_switched");
  publish();
  return {};
}

Result<> InterfaceSet::move_to(const PinDirectory& pins, const MapSet& maps) {
  std::vector<InterfaceConfig> same;
  same.reserve(entries_.size());
  for (const auto& entry : entries_) same.push_back(entry.config);
  return assign(pins, maps, same);
}

bool InterfaceSet::check(const PinDirectory& pins, const MapSet& maps, Entry& entry) {
  const unsigned ifindex = device_index(entry.config.name);
  if (entry.link && ifindex != 0 && entry.link->ifindex() == ifindex) {
    return check_egress(pins, entry);
  }
  const bool had_link = entry.link != nullptr;
  if (had_link && ifindex != 0 && ifindex == entry.device.ifindex) {
    log_warning("interface {}: somebody took the program off; it is attached again",
                entry.config.name);
  }
  const std::string before = entry.detail;
  if (had_link) retire(entry);
  if (had_link) drop(pins, entry);
  if (ifindex == 0) {
    entry.state = InterfaceState::kGone;
    entry.detail = "the interface has gone; it is attached again when it returns";
    return had_link || entry.detail != before;
  }
  auto device = find_device(entry.config.name);
  Result<> done = device ? Result<>{} : tl::unexpected(device.error());
  if (done) {
    entry.device = *device;
    auto program = load_for(maps, entry.config, *device);
    if (program) {
      entry.program = std::make_unique<XdpSkeleton>(std::move(*program));
      done = attach(pins, entry);
      auto egress = load_egress_for(maps, entry.config, *device);
      if (egress) entry.egress = std::move(*egress);
      if (done) put_egress(pins, entry);
      if (!egress) entry.egress_error = egress.error().message;
    } else {
      done = tl::unexpected(program.error());
    }
  }
  if (!done) {
    drop(pins, entry);
    entry.state = InterfaceState::kFailed;
    entry.detail = done.error().message;
  }
  return had_link || done.has_value() || entry.detail != before;
}

bool InterfaceSet::reconcile(const PinDirectory& pins, const MapSet& maps) {
  bool changed = false;
  for (auto& entry : entries_) changed |= check(pins, maps, entry);
  if (changed) publish();
  return changed;
}

std::vector<std::string> InterfaceSet::detach_all(const PinDirectory& pins) {
  auto names = pins.links();
  for (const auto& name : pins.egresses()) remove_egress(pins, name);
  for (const auto& name : names) remove_link(pins, name);
  entries_.clear();
  status_.clear();
  return names;
}

/// Its programs are about to go, and their counts with them.
void InterfaceSet::retire(const Entry& entry) {
  if (entry.program) xdp_before_ += program_cost(xdp_fd(*entry.program));
  if (entry.egress) {
    if (!egress_before_) egress_before_.emplace();
    *egress_before_ += program_cost(egress_fd(*entry.egress));
  }
}

std::vector<ProgramUse> InterfaceSet::program_use() const {
  ProgramUse xdp{"tfo_xdp", xdp_before_};
  ProgramUse egress{"tfo_egress", egress_before_.value_or(ProgramCost())};
  bool leaves = egress_before_.has_value();
  for (const Entry& entry : entries_) {
    if (entry.program) xdp.cost += program_cost(xdp_fd(*entry.program));
    if (!entry.egress) continue;
    leaves = true;
    egress.cost += program_cost(egress_fd(*entry.egress));
  }
  std::vector<ProgramUse> all = {std::move(xdp)};
  if (leaves) all.push_back(std::move(egress));
  return all;
}

void InterfaceSet::publish() {
  status_.clear();
  for (auto& entry : entries_) {
    if (entry.link) {
      entry.state =
          is_generic(entry.device.ifindex) ? InterfaceState::kGeneric : InterfaceState::kNative;
    }
    status_.push_back(
        {.name = entry.config.name,
         .ifindex = entry.device.ifindex,
         .state = entry.state,
         .l3_device = entry.device.l3,
         .egress = entry.sees_egress && entry.config.egress,
         .tracks = entry.sees_egress && entry.config.tracks != 0,
         .egress_error = entry.egress_error,
         .detail = entry.detail,
         .tag = entry.link ? program_tag(xdp_fd(*entry.program)) : "",
         .egress_tag = entry.sees_egress ? program_tag(egress_fd(*entry.egress)) : ""});
  }
}

}  // namespace tfo
