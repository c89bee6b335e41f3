// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "loader/monitor/attack_tables.h"

namespace tfo {

/// The tables of each subject that samples come for, at most kMost: below 16 MiB. Whoever is
/// attacked most has one, and what is in it is of one attack. Times are boot time.
class AttackBook {
 public:
  static constexpr size_t kMost = 64;
  static constexpr std::chrono::seconds kIdle{120};    // then what comes is another attack
  static constexpr std::chrono::seconds kStep{10};     // packets are compared over so long
  static constexpr uint64_t kSurge = 4;                // so many times what came is another attack
  static constexpr uint64_t kFewest = 8;               // samples that make one
  static constexpr std::chrono::seconds kTurn{600};    // what nobody is told of begins anew
  static constexpr std::chrono::seconds kHold{75};     // somebody was told of it
  static constexpr std::chrono::seconds kWhole{3600};  // so much of an alert is shown as one
  static constexpr double kWorth = 5;                  // for less nobody has to give way

  explicit AttackBook(const std::array<uint64_t, 2>& seed) : seed_(seed) {}

  void add(uint16_t subject, const tfo_sample& sample, std::chrono::nanoseconds now);
  /// nullptr: no samples came of late, or others are attacked more.
  const AttackTables* find(uint16_t subject) const;
  /// When what is in its tables began to come.
  std::optional<std::chrono::nanoseconds> began(uint16_t subject) const;
  /// It is shown in an alert: for kHold, and for kWhole at most, it goes on as it is.
  void hold(uint16_t subject, std::chrono::nanoseconds now);
  bool full() const { return pages_.size() >= kMost; }
  /// When it is full, who has least gives way to who has more than twice as much and no tables.
  /// `lately`: packets of the last seconds, of all subjects that have any.
  void review(const std::map<uint16_t, double>& lately, std::chrono::nanoseconds now);
  void forget(uint16_t subject) { pages_.erase(subject); }

 private:
  struct Page {
    std::unique_ptr<AttackTables> tables;
    std::chrono::nanoseconds began{};
    std::chrono::nanoseconds last{};
    std::chrono::nanoseconds held_until{};
    std::chrono::nanoseconds step_at{};
    uint64_t step = 0;          // packets since step_at
    uint64_t step_samples = 0;  // that stand for them
    uint64_t peak = 0;          // most packets of a step before; it fades
  };
  bool make_room(std::chrono::nanoseconds now);
  static bool is_another(Page& page, const tfo_sample& sample, std::chrono::nanoseconds now);
  std::array<uint64_t, 2> seed_;
  std::map<uint16_t, Page> pages_;
};

}  // namespace tfo
