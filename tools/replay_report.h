// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "loader/observe/snapshot.h"
#include "loader/replay/refused.h"

namespace tfo {

/// What a replay came to.
struct ReplayOutcome {
  std::string file;
  const CaptureReader& reader;
  const ReplayWorld& world;
  const ReplayTotals& totals;
  const RefusedClients& refused;
  size_t most_refused;  // rows of the table of refused clients
  Snapshot counters;
  std::optional<Error> error;  // why it ended before the end of the capture
};

/// {file, format, complete, error, captured, frames, skipped: {total, WHY: n}, first_ns, last_ns,
/// steps_back, reasons: {REASON: n}, actions: {pass, renew, demote, drop}, would: {...}, node:
/// {REASON: n}, vips: [as in `stats`], refused: {syns, with_data, clients: [{client, vip, reason,
/// syns, with_data, why}], rows, given_up}, monitor, alerts: see add_replayed_alerts()}. reasons,
/// actions and would each sum to frames.
nlohmann::ordered_json replay_json(const ReplayOutcome& outcome);

/// The same for people.
void print_replay(std::ostream& out, const ReplayOutcome& outcome);

}  // namespace tfo
