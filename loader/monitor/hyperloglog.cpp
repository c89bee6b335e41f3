// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/hyperloglog.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

namespace tfo {
namespace {

constexpr int kMaxRank = (1 << TFO_HLL_RANK_BITS) - 1;
constexpr unsigned kStamps = 8;
constexpr double kAlpha = 0.5 / 0.69314718055994530942;  // 1 / (2 ln 2)

/// Corrects for registers that nothing fell into.
double sigma(double share) {
  if (share >= 1) return std::numeric_limits<double>::infinity();
  double sum = share, power = share, before = 0, weight = 1;
  while (sum != before) {
    power *= power;
    before = sum;
    sum += power * weight;
    weight += weight;
  }
  return sum;
}

/// Corrects for registers that are at the greatest rank.
double tau(double share) {
  if (share <= 0 || share >= 1) return 0;
  double sum = 1 - share, root = share, before = 0, weight = 1;
  while (sum != before) {
    root = std::sqrt(root);
    before = sum;
    weight /= 2;
    sum -= (1 - root) * (1 - root) * weight;
  }
  return sum / 3;
}

unsigned stamp_of(uint8_t value) { return value >> TFO_HLL_RANK_BITS; }

}  // namespace

double hll_estimate(std::span<const uint8_t, TFO_HLL_REGISTERS> ranks) {
  constexpr double kRegisters = TFO_HLL_REGISTERS;
  std::array<unsigned, 1 << TFO_HLL_RANK_BITS> count{};
  for (const uint8_t rank : ranks) count[rank & kMaxRank]++;
  double sum = kRegisters * tau(1 - count[kMaxRank] / kRegisters);
  for (int rank = kMaxRank - 1; rank >= 1; rank--) sum = (sum + count[rank]) / 2;
  sum += kRegisters * sigma(count[0] / kRegisters);
  return kAlpha * kRegisters * kRegisters / sum;
}

void Distinct::read(Registers registers, uint32_t epoch) {
  Ranks current{};
  if (begun_ && epoch / kHalf != epoch_ / kHalf) {
    const bool next = epoch / kHalf == epoch_ / kHalf + 1;
    older_ = next ? newer_ : Ranks{};
    newer_ = {};
    any_older_ = next && any_newer_;
    any_newer_ = false;
  }
  const unsigned now = epoch % kStamps;
  const unsigned before = (epoch - 1) % kStamps;
  for (size_t i = 0; i < registers.size(); i++) {
    const std::atomic_ref<uint8_t> cell(registers[i]);
    uint8_t value = cell.load(std::memory_order_relaxed);
    if (value == 0) continue;
    if (begun_ && stamp_of(value) == now) {
      current[i] = value & kMaxRank;
      ranks_[i] = std::max(ranks_[i], current[i]);
      newer_[i] = std::max(newer_[i], current[i]);
      any_newer_ = true;
    } else if (!begun_ || stamp_of(value) != before) {
      cell.compare_exchange_strong(value, 0, std::memory_order_relaxed);
    }
  }
  if (begun_ && epoch != epoch_) before_ = epoch == epoch_ + 1 ? now_ : 0;
  now_ = hll_estimate(current);
  epoch_ = epoch;
  begun_ = true;
}

double Distinct::recent() const { return std::max(now_, before_); }

double Distinct::lasting() const {
  if (!any_newer_ && !any_older_) return 0;
  Ranks both{};
  std::ranges::transform(newer_, older_, both.begin(),
                         [](auto a, auto b) { return std::max(a, b); });
  return hll_estimate(both);
}

double Distinct::total() const { return hll_estimate(ranks_); }

void Distinct::restart() { ranks_.fill(0); }

}  // namespace tfo
