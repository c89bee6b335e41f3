// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "bpf/tfo_abi.h"
#include "tools/bench_packet.h"

namespace tfo {

/// Which load of the programs a row measures, as to the SYN-ACK monitor.
enum class BenchMonitor {
  kOff,
  kOn,
  kSockets,  // unremembered tuples are looked for among this node's sockets
  kEgress,   // the egress program
};

/// Who is at this end of a measured packet.
enum class BenchPlace {
  kVip,
  kNobody,   // an address that is no VIP and not watched
  kTracked,  // one of 4,096 addresses whose SYNs are remembered
  kPrefix,   // likewise, of a declared prefix without SYNs
};

/// What the monitor must count for every packet of a row.
enum class BenchCount { kNothing, kSynsOut, kAnswered, kUnsolicited };

/// What one kind of measured packet is.
struct BenchCase {
  const char* name = nullptr;
  const char* meaning = nullptr;  // which packets these are, for the help
  double goal_hot = 0;            // ns net, IPv4; 0: no goal
  double goal_cold = 0;           // likewise; 0: not measured cold; below: measured, without a goal
  size_t data = 0;                // bytes of payload
  int hashes = 0;                 // SipHash evaluations, which cost more over IPv6
  BenchOptions options = BenchOptions::kPlain;  // as they lie in the segment
  int key = 0;                      // place of the key that made the cookie, from 1; 0: none did
  tfo_action action = TFO_PASS;     // what the program must do with every one of them
  tfo_reason reason = TFO_NOT_TCP;  // what the program must count for every one of them
  bool syn = false;
  BenchPlace place = BenchPlace::kVip;
  bool guard = false;     // measured in the load of the program that has the guard on
  bool networks = false;  // each client is of a network of its own: /24, or /48
  bool answer = false;    // a SYN-ACK
  bool sampled = false;   // every packet is a sample

  BenchMonitor monitor = BenchMonitor::kOff;
  BenchCount count = BenchCount::kNothing;
  /// Packets of one call, 0: all. The monitor's budgets of samples and of sockets to look for are
  /// full again before each.
  uint32_t batch = 0;

  /// Must each round have a frame of its own, since the program changes it or remembers it?
  bool anew() const { return action != TFO_PASS || (guard && syn); }
  bool leaves() const { return monitor == BenchMonitor::kEgress; }
};

/// All of them, in the order in which they are measured.
std::span<const BenchCase> bench_cases();

}  // namespace tfo
