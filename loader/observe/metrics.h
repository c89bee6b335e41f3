// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/observe/view.h"

namespace tfo {

/// Prometheus' text format 0.0.4. Every series that can occur is there from the first scrape on, so
/// that rate() works; labels are names of the configuration and fixed words, never an address of a
/// client, a cookie or a key.
std::string metrics_text(const View& view);

}  // namespace tfo
