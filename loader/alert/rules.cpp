// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <vector>

#include "loader/alert/rule.h"

namespace tfo::alert {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct Runbook {
  std::string_view rule;
  std::string_view warning;
  std::string_view critical = warning;
};

/// The headings are those of the alerts that Prometheus' rules raise for the same.
constexpr Runbook kRunbooks[] = {
    {"carpet", "reflection.md#tfosynackreflectionsuspected",
     "reflection.md#tfosynackreflectiontracked"},
    {"asymmetric", "reflection.md#tfosynackreflectionsuspected",
     "reflection.md#tfosynackreflectiontracked"},
    {"vip", "reflection.md#tfosynackreflectionlow", "reflection.md#tfosynackreflectionvip"},
    {"vip_slow", "reflection.md#tfosynackreflectionsuspected"},
    {"tracked", "reflection.md#tfosynackreflectionsuspected",
     "reflection.md#tfosynackreflectiontracked"},
    {"outgoing_syn_flood", "reflection.md#tfooutgoingsynflood"},
    {"reflector", "reflection.md#tfofarmusedasreflector"},
    {"reflector_network", "reflection.md#tfofarmusedasreflector"},
    {"invalid_cookie_ratio", "guard.md#tfoinvalidcookieratiohigh"},
    {"guard_active", "guard.md#tfoprefixguardactive"},
    {"guard_blind", "guard.md#tfoguardblind"},
    {"guard_evaded", "guard.md#tfoguardevaded"},
    {"drop_disarmed", "guard.md#tfodropdisarmed"},
    {"listen_overflow", "servers.md#tfolistenoverflow"},
    {"syn_cookies", "servers.md#tfosuppressedbysyncookies"},
    {"cookie_not_required", "servers.md#tfocookienotrequired"},
    {"key_drift", "keys.md#tfokeydrift"},
    {"rotation_stuck", "keys.md#tforotationstuck"},
    {"key_stale", "keys.md#tfokeystale"},
    {"events_lost", "daemon.md#tfoeventslost"},
    {"generic_mode", "daemon.md#tfoxdpgenericmode"},
};

constexpr seconds kShort{3};  // window and hold of what is critical: an alarm within 10 s

/// Something that is so or not.
Rule state(std::string_view id, std::string_view kind, std::string_view sentence, Severity severity,
           seconds hold) {
  Rule rule{.id = id, .kind = kind, .sentence = sentence, .feed = Feed::kState};
  rule.levels[static_cast<size_t>(severity)] = Level{.hold = hold};
  return rule;
}

std::vector<Rule> reflection_rules() {
  return {
      {.id = "carpet",
       .kind = kReflectionKind,
       .sentence = "SYN-ACKs that nobody asked for come to many addresses of a prefix",
       .levels = {Level{.rate = 200, .hold = seconds(30), .sources = 16},
                  Level{.rate = 20'000, .window = kShort, .hold = kShort, .sources = 16}}},
      {.id = "asymmetric",
       .kind = kReflectionKind,
       .sentence = "More SYN-ACKs come to a prefix than SYNs left it",
       .levels = {Level{.rate = 500, .hold = minutes(1), .share = 0.2, .baseline = 5},
                  Level{.rate = 20'000, .hold = seconds(30), .baseline = 5}},
       // What left before the start is answered after it.
       .warm_up = seconds(137),
       // All SYNs may leave at other nodes.
       .learns = true},
      {.id = "vip",
       .kind = kReflectionKind,
       .sentence = "SYN-ACKs come to a VIP, which asks for none",
       .levels = {Level{.rate = 50, .hold = minutes(1), .sources = 20, .few_rate = 500},
                  Level{.rate = 5'000, .window = kShort, .hold = kShort}},
       .absorbed_by = "carpet"},
      {.id = "vip_slow",
       .kind = kReflectionKind,
       .sentence = "A few SYN-ACKs from many sources keep coming to a VIP, which asks for none",
       .levels =
           {Level{.rate = 1, .window = minutes(10), .volume = 600, .sources = 50, .baseline = 5},
            std::nullopt},
       .absorbed_by = "vip"},
      {.id = "tracked",
       .kind = kReflectionKind,
       .sentence = "SYN-ACKs that answer no SYN come to an address",
       .levels = {Level{.rate = 100, .hold = seconds(30), .share = 0.05},
                  Level{.rate = 10'000, .window = kShort, .hold = kShort}},
       .absorbed_by = "carpet"},
      {.id = "outgoing_syn_flood",
       .kind = kReflectionKind,
       .sentence = "More SYNs leave than the monitor can remember",
       .levels = {Level{.rate = 10'000, .hold = kShort, .baseline = 5}, Level{.saturated = true}},
       .learns = true},
      {.id = "reflector",
       .kind = kReflectionKind,
       .sentence = "Our own servers are used as reflectors: clients reset or never answer",
       .levels = {Level{.window = minutes(1), .volume = 50, .share = 0.2},
                  Level{.window = minutes(1), .volume = 500, .share = 0.6}}},
      {.id = "reflector_network",
       .kind = kReflectionKind,
       .sentence = "A client network resets or never answers what our own servers send to it",
       .levels = {Level{.window = minutes(1), .volume = 50, .share = 0.2},
                  Level{.window = minutes(1), .volume = 500, .share = 0.6}},
       .absorbed_by = "reflector"},
  };
}

std::vector<Rule> counted_rules() {
  return {
      {.id = "invalid_cookie_ratio",
       .kind = "cookies",
       .sentence = "Many Fast Open cookies of a VIP are invalid",
       .levels = {Level{.rate = 20, .hold = minutes(5), .share = 0.1, .baseline = 1},
                  Level{.rate = 200, .window = kShort, .hold = kShort, .share = 0.5}}},
      {.id = "listen_overflow",
       .kind = "server",
       .sentence = "A server's Fast Open queue overflows; it refuses Fast Open",
       .levels = {Level{.window = minutes(1), .hold = minutes(5), .volume = 1}, std::nullopt}},
      {.id = "events_lost",
       .kind = "dataplane",
       .sentence = "Events of the programs find no place and are lost",
       .levels = {Level{.window = minutes(1), .hold = minutes(1), .volume = 1}, std::nullopt}},
  };
}

std::vector<Rule> state_rules() {
  constexpr Severity kWarning = Severity::kWarning;
  constexpr Severity kCritical = Severity::kCritical;
  return {
      state("guard_active", "guard", "Client networks are over the guard's limit", kWarning,
            minutes(5)),
      state("guard_blind", "guard", "The guard does not see the clients' answers", kCritical,
            minutes(1)),
      state("guard_evaded", "guard", "Servers' queues overflow past the guard", kCritical,
            seconds(0)),
      state("drop_disarmed", "guard", "Invalid cookies are not dropped: the keys may be wrong",
            kCritical, minutes(1)),
      state("syn_cookies", "server", "A server answers with SYN cookies: nobody gets Fast Open",
            kWarning, minutes(1)),
      state("cookie_not_required", "server", "Servers take SYN data without any cookie", kCritical,
            minutes(1)),
      state("key_drift", "keys", "A server holds other keys than were written", kCritical,
            minutes(2)),
      state("rotation_stuck", "keys", "A key rotation does not come to its end", kWarning,
            minutes(15)),
      state("key_stale", "keys", "A pool's keys are about to end, or are not confirmed", kWarning,
            minutes(5)),
      state("generic_mode", "dataplane", "XDP runs in the stack, not in the driver", kWarning,
            minutes(15)),
  };
}

}  // namespace

const std::vector<Rule>& default_rules() {
  static const std::vector<Rule> rules = [] {
    std::vector<Rule> all;
    for (const auto& part : {reflection_rules(), counted_rules(), state_rules()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    for (Rule& rule : all) {
      const auto* const found = std::ranges::find(kRunbooks, rule.id, &Runbook::rule);
      if (found != std::end(kRunbooks)) rule.runbooks = {found->warning, found->critical};
    }
    return all;
  }();
  return rules;
}

std::vector<std::string_view> rule_kinds() {
  std::vector<std::string_view> kinds;
  for (const Rule& rule : default_rules()) {
    if (std::ranges::find(kinds, rule.kind) == kinds.end()) kinds.push_back(rule.kind);
  }
  return kinds;
}

}  // namespace tfo::alert
