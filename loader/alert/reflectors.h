// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "loader/alert/engine.h"
#include "loader/alert/feeder.h"
#include "loader/config.h"
#include "loader/observe/kernel_mib.h"
#include "loader/observe/view.h"

namespace tfo::alert {

/// Samples of the rules "reflector" (by VIP) and "reflector_network" (by client network, of all
/// VIPs together): handshakes that were reset, or not answered within three seconds, as a part of
/// all. Somebody who sends SYNs with addresses of others makes such; so do networks that are cut
/// off. Evidence refers to `view` and `config`.
void reflectors(const View& view, const tfo::Config& config, Input& out);

/// How the guard of the VIP stands and which client networks fail most; nothing where there is no
/// guard of this name. Refers to `view`.
Evidence guard_evidence(const View& view, const std::string& vip, const std::string& pool);

/// {name of the kernel: count}, of those that it has.
nlohmann::json kernel_counters_json(const KernelMib& mib);

}  // namespace tfo::alert
