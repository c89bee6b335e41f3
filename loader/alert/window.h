// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace tfo::alert {

/// A counter and its total over a moving window. At most 62 readings are kept, whatever its length;
/// those of a counter that stands still are one.
class Window {
 public:
  explicit Window(std::chrono::seconds length);

  /// A reading at `now` (ms, never less than the last one). A counter that went back began anew:
  /// what is in the window is forgotten.
  void add(int64_t now, uint64_t count, uint64_t total);
  /// The next reading is the first.
  void restart() { readings_.clear(); }
  /// Is the first reading as old as the window is long? True if there is none.
  bool full(int64_t now) const { return readings_.empty() || now - since_ >= length_; }

  uint64_t count() const;
  uint64_t total() const;
  /// Of `count`, a second. Time before the first reading belongs to the window, as if nothing had
  /// been counted in it.
  double rate() const;
  /// Of the total: 0 to 1, where there is more than the total is, too.
  double share() const;

 private:
  struct Reading {
    int64_t at;
    uint64_t count;
    uint64_t total;
  };
  int64_t length_;     // ms
  int64_t slot_;       // ms between two readings that are kept
  int64_t since_ = 0;  // the first reading, kept or not
  std::vector<Reading> readings_;
};

/// The median of a subject's own 24 hours, of means over ten minutes.
class Baseline {
 public:
  /// `value` held for `span` ms.
  void add(int64_t span, double value);
  /// 0 until the first ten minutes are over.
  double median() const { return median_; }
  bool known() const { return !means_.empty(); }

 private:
  void close_part();

  double sum_ = 0;  // of value times ms
  int64_t span_ = 0;
  size_t next_ = 0;
  double median_ = 0;
  std::vector<float> means_;
};

}  // namespace tfo::alert
