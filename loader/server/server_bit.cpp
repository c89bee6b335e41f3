// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/server_bit.h"

#include <fmt/format.h>

#include <algorithm>

#include "loader/log.h"

namespace tfo {
namespace {

bool mints(const Generation& generation, int64_t now) {
  return generation.place != TFO_PLACE_REVOKED &&
         (generation.not_after == 0 || generation.not_after > now);
}

std::string off_evidence(ServerBit bit) {
  if (bit == ServerBit::expired) {
    return "Fast Open is off here: every key is past its not_after; clients keep their cookies and "
           "get ordinary handshakes until fresh keys are in (see no_key)";
  }
  return "Fast Open is off here: the namespace holds a key that the farm does not know and takes "
         "no other (see key_sink_failed)";
}

constexpr char kFound[] = "tcp_fastopen's bit 0x2 was changed by somebody else";

}  // namespace

std::string_view to_string(ServerBit bit) {
  switch (bit) {
    case ServerBit::on:
      return "on";
    case ServerBit::waiting:
      return "waiting";
    case ServerBit::joining:
      return "joining";
    case ServerBit::expired:
      return "expired";
    case ServerBit::foreign:
      return "foreign_key";
    case ServerBit::unknown:
      break;
  }
  return "unknown";
}

ServerBit wanted_server_bit(const PoolKeys& keys, const Moment& now, bool delay_over,
                            const std::function<Result<std::vector<Key>>()>& held) {
  if (keys.ring == nullptr) return ServerBit::unknown;
  const Generation* current = keys.ring->current();
  if (current == nullptr || !mints(*current, now.unix_s)) return ServerBit::expired;
  if (!delay_over) return ServerBit::waiting;
  if (!keys.may_open && !keys.keeps_bit) return ServerBit::joining;
  if (keys.in_force && keys.may_open) return ServerBit::on;
  const auto there = held();
  if (!there) return ServerBit::unknown;
  const Generation* known = there->empty() ? nullptr : keys.ring->find(there->front());
  return known != nullptr && mints(*known, now.unix_s) ? ServerBit::unknown : ServerBit::foreign;
}

void ServerBitKeeper::keep(const Sysctl& sysctl, ServerBit wanted, OnDrift on_drift,
                           const Moment& now, Conditions& conditions) {
  wanted_ = wanted;
  Result<> result;
  if (wanted != ServerBit::unknown) {
    const bool on = wanted == ServerBit::on;
    const auto bits = sysctl.read();
    if (!bits) {
      result = tl::unexpected(bits.error());
    } else if (((*bits & kFastopenServer) != 0) == on) {
      ours_ = on;
      drifted_ = false;
    } else {
      drifted_ = ours_ == on;
      if (!drifted_ || on_drift == OnDrift::repair) result = set(sysctl, on, now);
    }
  }
  const std::string& label = sysctl.label;
  conditions.set("server_bit_failed", label, !result, result ? "" : result.error().message);
  conditions.set("server_bit_drift", label, drifted_, kFound);
  const std::string repaired = repairs_.repaired_evidence(now.boot_s, kFound);
  conditions.set("server_bit_repaired", label, !repaired.empty(), repaired);
  const std::string fight = repairs_.fight_evidence(now.boot_s, kFound);
  conditions.set("server_bit_fight", label, !fight.empty(), fight);
  say_off(sysctl, now, conditions);
}

Result<> ServerBitKeeper::set(const Sysctl& sysctl, bool on, const Moment& now) {
  const auto bits = sysctl.read();
  if (!bits) return tl::unexpected(bits.error());
  const unsigned next = on ? *bits | kFastopenServer : *bits & ~kFastopenServer;
  if (auto written = sysctl.write(next); !written) return written;
  log_info("namespace {}: tcp_fastopen {:#x} -> {:#x} ({})", sysctl.label, *bits, next,
           to_string(wanted_));
  if (drifted_) repairs_.note(now.boot_s);
  ours_ = on;
  drifted_ = false;
  return {};
}

void ServerBitKeeper::say_off(const Sysctl& sysctl, const Moment& now, Conditions& conditions) {
  const bool off = wanted_ == ServerBit::expired || wanted_ == ServerBit::foreign;
  const std::string evidence = off ? off_evidence(wanted_) : "";
  conditions.set("server_off", sysctl.label, off, evidence);
  if (!off) {
    said_at_.reset();
  } else if (!said_at_) {
    said_at_ = now.boot_s;  // raising the condition has said it
  } else if (now.boot_s - *said_at_ >= kRepeat) {
    said_at_ = now.boot_s;
    log_error("namespace {}: {}", sysctl.label, evidence);
  }
}

}  // namespace tfo
