// SPDX-License-Identifier: BSD-2-Clause
// What is renewed and what is left alone, packet by packet, as data. The packet that must come out
// is built anew with the other cookie, so that its checksums owe nothing to the one that went in.
// The unit tier runs all through the core compiled for the host, the bpf tier through the program.
#pragma once

#include <ostream>

#include "tests/support/cases.h"

namespace tfo::test {

struct RenewCase {
  std::string name;
  Packet packet;
  tfo_reason reason = TFO_INTERNAL_ERROR;
  tfo_action would = TFO_PASS;
  tfo_action verdict = TFO_PASS;
  Packet left;           ///< what comes out
  uint8_t decap = 0;     ///< TFO_DECAP_* of the interface
  bool partial = false;  ///< packets of the interface may have unfinished checksums
};
using RenewCases = std::vector<RenewCase>;

/// VIPs with every mode, with renewal and without, over rings of every kind.
World renew_world();

RenewCases policy_cases();     ///< every reason, mode and flag
RenewCases ring_cases();       ///< targets that are no good, or past their time
RenewCases packet_cases();     ///< every way in which a cookie may stand in a packet
RenewCases signature_cases();  ///< TCP-AO and TCP-MD5, and what only looks like them
RenewCases checksum_cases();   ///< unfinished, wrong and ordinary checksums

struct RenewTable {
  const char* name;
  RenewCases (*make)();
};
extern const std::vector<RenewTable> kRenewTables;

void PrintTo(const RenewTable& table, std::ostream* out);

/// "cookie_retired would=renew verdict=pass"
std::string renew_text(tfo_reason reason, uint32_t would, uint32_t verdict);
std::string case_text(const RenewCase& c);

}  // namespace tfo::test
