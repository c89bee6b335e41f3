// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/conditions.h"

#include <algorithm>

#include "loader/keys/redact.h"

namespace tfo {

std::string_view to_string(Severity severity) {
  return severity == Severity::kCritical ? "critical" : "warning";
}

const std::vector<ConditionKind>& condition_kinds() {
  static const std::vector<ConditionKind> kinds = {
      {"generic_mode", Severity::kWarning, "XDP runs in the stack, not in the driver: slower"},
      {"interface_gone", Severity::kCritical, "A configured interface does not exist"},
      {"interface_failed", Severity::kCritical, "An interface is back and cannot be attached"},
      {"dataplane_failed", Severity::kCritical,
       "The BPF maps or links could not be read or changed"},
      {"config_refused", Severity::kWarning,
       "The last reload was refused; the old one is in force"},
      {"key_store_failed", Severity::kCritical, "A key store cannot be read or written"},
      {"key_sink_failed", Severity::kCritical, "A validator or server did not take the keys"},
      {"key_sink_gone", Severity::kWarning, "A server's network namespace was deleted"},
      {"key_drift", Severity::kCritical, "A server holds other keys than were written"},
      {"rotation_held", Severity::kWarning, "A key rotation waits for those who lack the new key"},
      {"clock_unsure", Severity::kCritical,
       "The wall clock cannot be trusted; a derived pool keeps the keys that it had"},
      {"clock_suspect", Severity::kCritical,
       "Some node's clock is wrong by more than max_skew; a derived pool renews nothing"},
      {"secret_replaced", Severity::kWarning,
       "A derived pool's secret was replaced; servers refuse the old one's cookies"},
      {"store_unreachable", Severity::kWarning,
       "etcd cannot be reached; the keys stay as they are"},
      {"store_rolled_back", Severity::kCritical,
       "etcd held an older document than this node; it was put back"},
      {"store_refused", Severity::kCritical, "A value in etcd is not genuine; it was not taken"},
      {"fork", Severity::kCritical, "Two documents of a farm have the same number"},
      {"farm_key_missing", Severity::kCritical,
       "This node's farm key file lacks the line that the farm's document is sealed under"},
      {"straggler", Severity::kWarning, "A member of the farm lacks the present keys"},
      {"not_member", Severity::kCritical, "The farm does not count on this node"},
      {"ring_stale", Severity::kWarning,
       "etcd did not confirm a pool's keys for long; nothing is renewed"},
      {"clock_off", Severity::kWarning, "This node's clock differs from the farm's"},
      {"state_unsaved", Severity::kCritical,
       "The farm's document could not be kept on this node; nothing new is taken"},
      {"no_key", Severity::kCritical, "A pool has no unexpired key; cookies are not validated"},
      {"drop_disarmed", Severity::kCritical,
       "Invalid cookies are not dropped, since the pool's keys may be the wrong ones"},
      {"demote_unsafe", Severity::kCritical,
       "Some server takes SYN data without a cookie; nothing is demoted for the VIP, and its guard "
       "holds nobody to a limit"},
      {"egress_failed", Severity::kWarning,
       "What leaves an interface cannot be seen; the guard is not exact, and the monitor knows of "
       "no "
       "SYN"},
      {"guard_active", Severity::kWarning,
       "Client networks are over the guard's limit; their Fast Open is demoted"},
      {"guard_blind", Severity::kCritical,
       "The clients' answers do not pass here any more; the guard holds nobody to a limit"},
      {"guard_evaded", Severity::kCritical,
       "Servers' queues overflow though the guard lets less through; it counts all opened ones"},
      {"egress_blind", Severity::kWarning,
       "The servers' SYN-ACKs do not leave through this node; the guard believes ACKs as they "
       "come"},
      {"namespace_gone", Severity::kWarning, "A network namespace was deleted; it is left out"},
      {"server_bit_failed", Severity::kWarning, "tcp_fastopen's server bit could not be set"},
      {"cookie_not_required", Severity::kWarning,
       "tcp_fastopen has bit 0x200: servers take SYN data without any cookie"},
      {"kernel_counters_failed", Severity::kWarning, "/proc/net/netstat could not be read"},
      {"key_repaired", Severity::kWarning, "A server's keys were overwritten and written again"},
      {"key_fight", Severity::kCritical, "Another program keeps overwriting a server's keys"},
      {"server_off", Severity::kCritical, "Fast Open is switched off at a server for want of keys"},
      {"server_bit_drift", Severity::kCritical, "Somebody changed tcp_fastopen's server bit"},
      {"server_bit_repaired", Severity::kWarning,
       "tcp_fastopen's server bit was changed and put back"},
      {"server_bit_fight", Severity::kCritical,
       "Another program keeps changing tcp_fastopen's server bit"},
      {"every_listener", Severity::kWarning,
       "tcp_fastopen has bit 0x400: every listener takes Fast Open"},
      {"listeners_failed", Severity::kWarning, "A namespace's listeners could not be listed"},
      {"listener_own_key", Severity::kCritical, "A listener has Fast Open keys of its own"},
      {"backlog_clamped", Severity::kWarning, "A low somaxconn bounds a Fast Open listener"},
      {"syn_cookies", Severity::kWarning,
       "A server's SYN queue is full; it answers with SYN cookies, and nobody gets Fast Open"},
      {"synack_retries", Severity::kWarning,
       "A server holds silent Fast Open connections for longer than the guard reckons with"},
      {"server_state_failed", Severity::kWarning,
       "What the servers held before tfod could not be remembered or restored"},
      {"revocation_lost", Severity::kCritical,
       "etcd has lost the revocation of a key; it is asked for again"},
      {"name_taken", Severity::kCritical, "Two running nodes have the same name in the farm"},
      {"alerts_unsaved", Severity::kWarning,
       "What is raised cannot be kept: a restart will not know since when"},
      {"tracking_unproven", Severity::kWarning,
       "It is not shown that the SYNs of an address are seen to leave; the monitor raises no alert "
       "for it"},
      {"tracking_saturated", Severity::kWarning,
       "More SYNs leave than the monitor can remember; it misses SYN-ACKs that answer none"},
      {"alertmanager_away", Severity::kWarning, "An Alertmanager does not take the alerts"},
  };
  return kinds;
}

namespace {

Severity severity_of(const std::string& id) {
  for (const ConditionKind& kind : condition_kinds()) {
    if (kind.id == id) return kind.severity;
  }
  return Severity::kWarning;
}

}  // namespace

Conditions::Conditions(Clock clock, Listener changed)
    : clock_(std::move(clock)), changed_(std::move(changed)) {}

void Conditions::raise(const std::string& id, const std::string& subject,
                       const std::string& evidence) {
  const auto [at, fresh] = raised_.try_emplace({id, subject});
  Condition& condition = at->second;
  condition.evidence = without_keys(evidence);
  if (!fresh) return;
  condition.id = id;
  condition.subject = subject;
  condition.severity = severity_of(id);
  condition.since = clock_();
  if (changed_) changed_(condition, true);
}

void Conditions::clear(const std::string& id, const std::string& subject) {
  const auto at = raised_.find({id, subject});
  if (at == raised_.end()) return;
  const Condition cleared = std::move(at->second);
  raised_.erase(at);
  if (changed_) changed_(cleared, false);
}

void Conditions::clear_all(const std::string& id) {
  for (const Condition& condition : list()) {
    if (condition.id == id) clear(id, condition.subject);
  }
}

void Conditions::set(const std::string& id, const std::string& subject, bool active,
                     const std::string& evidence) {
  if (active) {
    raise(id, subject, evidence);
  } else {
    clear(id, subject);
  }
}

bool Conditions::active(const std::string& id) const {
  const auto at = raised_.lower_bound({id, ""});
  return at != raised_.end() && at->first.first == id;
}

std::vector<Condition> Conditions::list() const {
  std::vector<Condition> all;
  all.reserve(raised_.size());
  for (const auto& [key, condition] : raised_) all.push_back(condition);
  return all;
}

}  // namespace tfo
