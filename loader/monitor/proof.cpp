// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/proof.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tfo {

void TrackingProof::see(std::chrono::nanoseconds now, const tfo_monitor_counters& counters) {
  Mark seen{now, counters.answered, counters.blind, counters.syns_out, 0};
  for (const auto& row : counters.unsolicited) {
    for (const tfo_tally& tally : row) seen.strangers += tally.packets;
  }
  if (!marks_.empty()) {
    const Mark& last = marks_.back();
    const bool anew = seen.answered < last.answered || seen.blind < last.blind ||
                      seen.syns < last.syns || seen.strangers < last.strangers;
    if (anew) marks_.clear();
  }
  if (marks_.empty() || now - marks_.back().at >= kStep) marks_.push_back(seen);
  while (marks_.size() > 1 && now - marks_[1].at >= kMemory) marks_.pop_front();
  const Mark& first = marks_.front();
  answered_ = seen.answered - first.answered;
  blind_ = seen.blind - first.blind;
  syns_ = seen.syns - first.syns;
  strangers_ = seen.strangers - first.strangers;
  proven_ = answered_ >= kAnswers && blind_ * kBlindShare < answered_ + blind_;
}

bool TrackingProof::doubtful(double usual) const {
  if (proven_) return false;
  const double anyway = usual * std::chrono::duration<double>(kMemory).count();
  return blind_ > 0 || (syns_ >= kAnswers && 2 * answered_ < syns_) ||
         (answered_ == 0 && static_cast<double>(strangers_) > kAnswers + 2 * anyway);
}

void Excess::see(std::chrono::nanoseconds now, uint64_t syn_acks, uint64_t syns) {
  // Counters that began anew, or the clock of a capture that went back.
  const Mark last = marks_.empty() ? Mark{now, syn_acks, syns} : marks_.back();
  if (now < last.at || syn_acks < last.syn_acks || syns < last.syns) marks_.clear();
  marks_.push_back({now, syn_acks, syns});
  if (marks_.size() == 1) return;
  while (marks_.size() > 2 && now - marks_[1].at >= kWindow) marks_.pop_front();
  const Mark& first = marks_.front();
  const uint64_t in = syn_acks - first.syn_acks;
  const uint64_t out = syns - first.syns;
  const auto span = std::max(now - first.at, std::chrono::nanoseconds(kWindow));
  const auto step = now - marks_[marks_.size() - 2].at;
  if (in > out) {
    total_ += static_cast<double>(in - out) * std::chrono::duration<double>(step).count() /
              std::chrono::duration<double>(span).count();
  }
}

void Explained::see(std::chrono::nanoseconds now, uint64_t answers, uint64_t syns) {
  const auto gone = std::chrono::duration<double>(now - std::exchange(at_, now)) / kMemory;
  const uint64_t answers_before = std::exchange(answers_, answers);
  const uint64_t syns_before = std::exchange(syns_, syns);
  if (!std::exchange(begun_, true)) return;
  if (gone < 0) expected_ = 0;  // the clock of a capture went back
  if (gone < 0 || answers < answers_before || syns < syns_before) return;  // they began anew
  expected_ = expected_ * std::exp(-gone) + kAnswers * static_cast<double>(syns - syns_before);
  const double explained = std::min(expected_, static_cast<double>(answers - answers_before));
  expected_ -= explained;
  total_ += explained;
}

}  // namespace tfo
