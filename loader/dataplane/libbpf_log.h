// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace tfo {

/// Sends libbpf's messages to the default spdlog logger, each level demoted by one: libbpf's
/// warnings are our debug (the Result already says what went wrong), the verifier's log among them.
/// Idempotent.
void route_libbpf_log();

}  // namespace tfo
