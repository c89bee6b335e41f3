// SPDX-License-Identifier: BSD-2-Clause
// What is demoted, dropped and left alone, packet by packet, as data: see renew_cases.h. A demoted
// packet that must come out is built anew with a request where the cookie was.
#pragma once

#include "tests/support/renew_cases.h"

namespace tfo::test {

/// VIPs with every policy and mode.
World policy_world();

RenewCases reason_cases();       ///< every reason, on_invalid and mode
RenewCases demoted_cases();      ///< every way in which a cookie may stand in a packet
RenewCases several_cases();      ///< several Fast Open options in one SYN
RenewCases demoted_sum_cases();  ///< unfinished, wrong and ordinary checksums
RenewCases signed_cases();       ///< where a signature forbids rewriting
RenewCases truncated_cases();    ///< headers that are not whole
RenewCases fence_cases();        ///< rings that may have missed a change
RenewCases canary_cases();       ///< clients in and out of the share

extern const std::vector<RenewTable> kPolicyTables;

}  // namespace tfo::test
