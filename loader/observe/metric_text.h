// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/observe/metric_family.h"

namespace tfo {

/// What prometheus::TextSerializer makes of these families (counters, gauges, histograms), byte for
/// byte, in a small part of the time: that one puts labels into a stream by the character, and
/// 1,000 VIPs are four million of them a scrape.
std::string metric_text(const Families& families);

}  // namespace tfo
