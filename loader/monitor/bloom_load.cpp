// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/bloom_load.h"

#include <algorithm>
#include <cmath>

namespace tfo {
namespace {

constexpr double kBits = TFO_STAMP_BITS;

/// Chance that `count` given bits are all set: by inclusion and exclusion over those that are not,
/// with as many inserts in the word as a Poisson distribution of this mean makes.
double all_set(int count, double load) {
  double chance = 0;
  double ways = 1;
  for (int unset = 0; unset <= count; unset++) {
    const double missed = std::pow((kBits - unset) / kBits, 3);  // by the three bits of one insert
    chance += (unset % 2 == 0 ? ways : -ways) * std::exp(-load * (1 - missed));
    ways = ways * (count - unset) / (unset + 1);
  }
  return chance;
}

}  // namespace

double false_match_at(double load) {
  // The three bits of a look-up fall on three places, on two or on one.
  const double three = (kBits - 1) * (kBits - 2) / (kBits * kBits);
  const double one = 1 / (kBits * kBits);
  return three * all_set(3, load) + (1 - three - one) * all_set(2, load) + one * all_set(1, load);
}

BloomLoad::BloomLoad(std::span<const tfo_monitor_cpu> cpus, uint32_t epoch, uint32_t lines)
    : lines_(lines) {
  for (const tfo_monitor_cpu& cpu : cpus) {
    for (unsigned filter = 0; filter < TFO_BLOOM_FILTERS; filter++) {
      for (unsigned age = 0; age < TFO_BLOOM_REMEMBERED; age++) {
        const tfo_bloom_fill& fill = cpu.fill[filter][(epoch - age) % TFO_BLOOM_WORDS];
        if (fill.epoch == epoch - age) inserts_[filter][age] += fill.inserts;
      }
    }
  }
}

double BloomLoad::false_match() const {
  double passed = 1;
  for (const uint64_t inserts : inserts_[TFO_BLOOM_MAIN]) {
    passed *= 1 - false_match_at(static_cast<double>(inserts) / lines_);
  }
  return 1 - passed;
}

bool BloomLoad::saturated(tfo_bloom_filter filter) const {
  return std::ranges::any_of(inserts_[filter], [this](uint64_t inserts) {
    return inserts > uint64_t{TFO_BLOOM_SATURATED} * lines_;
  });
}

}  // namespace tfo
