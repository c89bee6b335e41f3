// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>

namespace tfo {

/// An earlier reading of the counters, to make rates of two.
struct Rates {
  const nlohmann::json& before;  // the daemon's "stats" result, or null
  double seconds;                // between the two; 0: no rates yet
};

/// One line per VIP: its SYNs and the classes that an operator asks for first. With `rates`, per
/// second; without, totals.
void print_vips(std::ostream& out, const nlohmann::json& stats, const Rates* rates);

/// The same, then what belonged to no VIP.
void print_overview(std::ostream& out, const nlohmann::json& stats, const Rates* rates);

/// Every reason of one VIP with its sentence, and what was done; with `rates`, also per second.
void print_vip(std::ostream& out, const nlohmann::json& vip, const Rates* rates);

}  // namespace tfo
