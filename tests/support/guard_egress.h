// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "loader/dataplane/egress_skeleton.h"
#include "tests/support/packet.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {

/// The egress program on the maps of a load of the XDP program.
Result<EgressSkeleton> load_egress(const XdpUnderTest& xdp, const tfo_load_config& config = {});
/// The packet leaves; an error if the program would hold it back.
Result<> leave(const EgressSkeleton& egress, const Packet& packet);
/// A server's answer, `past` bytes of the SYN's data acknowledged.
Packet syn_ack(const Packet& syn, uint32_t isn, uint32_t past);

}  // namespace tfo::test
