// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "loader/audit/prober.h"
#include "tools/commands.h"

namespace tfo {

/// Whom the command line names: each SERVER, then each VIP at each next hop of its family; each on
/// the port that it brings, else on every one of `ports`. Errors name the argument. With no port
/// at all the error says how to give one.
Result<std::vector<audit::Target>> audit_targets(const AuditArgs& args,
                                                 const std::vector<uint16_t>& ports);

/// --source, --tries, --timeout, --ttl.
Result<audit::ProbeOptions> audit_options(const AuditArgs& args);

/// The ports of the VIPs of a pool as tfod has them (reply of its command "vips"), each once, in
/// their order; empty if some VIP has all ports.
std::vector<uint16_t> ports_of_pool(const nlohmann::json& vips, const std::string& pool);

}  // namespace tfo
