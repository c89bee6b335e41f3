// SPDX-License-Identifier: BSD-2-Clause
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>

#include "loader/daemon.h"
#include "loader/log.h"

namespace tfo {
namespace {

/// Counters of the kernel, gone namespaces and the interfaces are looked at this often.
constexpr int64_t kHousekeeping = 5;
constexpr int64_t kReminder = 600;

}  // namespace

void Daemon::housekeeping() {
  const int64_t now = clock_.now().unix_s;
  report_to_farms();
  const int64_t next = pools_.tick();
  namespaces_.tick(clock_.now(), [this](const std::string& pool) { return pool_keys(pool); });
  links_changed();  // no message tells that somebody detached our program
  review_policies();
  review_guard();
  review_monitor();
  remind();
  schedule(now + std::min(next, kHousekeeping));
}

void Daemon::schedule(int64_t unix_s) {
  const Moment now = clock_.now();
  const auto delay =
      std::chrono::seconds(unix_s - now.unix_s) - std::chrono::nanoseconds(now.unix_ns);
  const auto rounded = std::chrono::ceil<std::chrono::microseconds>(delay);
  timer_.start(std::max(rounded, std::chrono::microseconds(0)));
}

/// What is critical is said again and again, for whoever reads no status page.
void Daemon::remind() {
  const int64_t now = clock_.now().boot_s;
  if (now - reminded_at_ < kReminder) return;
  reminded_at_ = now;
  for (const Condition& condition : conditions_.list()) {
    if (condition.severity == Severity::kCritical) {
      log_error("still so: {} {}: {}", condition.id, condition.subject, condition.evidence);
    }
  }
}

void Daemon::links_changed() {
  if (!dataplane_) return;
  const auto changed = dataplane_->reconcile();
  conditions_.set("dataplane_failed", "interfaces", !changed,
                  changed ? "" : changed.error().message);
  show_interfaces();
}

void Daemon::clock_stepped() {
  log_info("the wall clock was set: the keys' end is worked out anew");
  housekeeping();
  if (!dataplane_) return;
  // not_after lives in the maps as boot time, and the wall clock has moved against that.
  for (const std::string& name : pools_.names()) {
    const KeyPool* pool = pools_.find(name);
    if (pool == nullptr) continue;
    const auto set = dataplane_->set_ring(name, pool->offered());
    conditions_.set("dataplane_failed", "pool " + name, !set, set ? "" : set.error().message);
  }
}

void Daemon::show_interfaces() {
  if (!dataplane_) return;
  for (const char* id : {"generic_mode", "interface_gone", "interface_failed", "egress_failed"}) {
    for (const Condition& condition : conditions_.list()) {
      const auto& all = config_.interfaces;
      const bool known = std::any_of(all.begin(), all.end(), [&](const InterfaceConfig& interface) {
        return interface.name == condition.subject;
      });
      if (condition.id == id && !known) conditions_.clear(id, condition.subject);
    }
  }
  for (const InterfaceStatus& status : dataplane_->interfaces()) {
    const auto wanted = std::find_if(
        config_.interfaces.begin(), config_.interfaces.end(),
        [&](const InterfaceConfig& interface) { return interface.name == status.name; });
    const bool asked = wanted != config_.interfaces.end() && wanted->mode == AttachMode::kGeneric;
    conditions_.set("generic_mode", status.name, status.state == InterfaceState::kGeneric && !asked,
                    status.detail);
    conditions_.set("interface_gone", status.name, status.state == InterfaceState::kGone,
                    status.detail);
    conditions_.set("interface_failed", status.name, status.state == InterfaceState::kFailed,
                    status.detail);
    conditions_.set("egress_failed", status.name, !status.egress_error.empty(),
                    status.egress_error);
  }
}

void Daemon::key_condition(const KeyCondition& condition) {
  conditions_.set(condition.id, condition.subject, condition.raised, condition.evidence);
}

void Daemon::condition_changed(const Condition& condition, bool raised) {
  if (!raised) {
    log_info("condition cleared: {} {}", condition.id, condition.subject);
  } else if (condition.severity == Severity::kCritical) {
    log_error("condition raised: {} {}: {}", condition.id, condition.subject, condition.evidence);
  } else {
    log_warning("condition raised: {} {}: {}", condition.id, condition.subject, condition.evidence);
  }
}

void Daemon::stop(const char* why) {
  log_info("{}: ending; {}", why,
           dataplane_
               ? "the pinned data plane goes on validating and counting (tfoctl detach takes "
                 "it off the wire)"
               : "the servers keep their keys");
  sd_notify(0, "STOPPING=1");
  const bool restores = config_.server && config_.server->restore_on_stop;
  if (restores) restore_servers();
  if (!restores || dataplane_) {
    loop_->quit(0);
    return;
  }
  // Nothing of the farm's keys stays in force here. Elsewhere this node goes on counting as a
  // member, so that the others keep to what it has.
  timer_.stop();
  alert_timer_.stop();
  close_pools();
  leave_farms([this] { loop_->quit(0); });
}

}  // namespace tfo
