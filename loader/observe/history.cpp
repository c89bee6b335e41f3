// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/history.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "loader/guard/report.h"
#include "loader/observe/reason_table.h"

namespace tfo {
namespace {

uint64_t less(uint64_t now, uint64_t before) { return now > before ? now - before : 0; }

template <class Array>
void add(Array& sum, const Array& more) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
}

template <class Array>
Array less_each(Array now, const Array& before) {
  for (size_t i = 0; i < now.size(); ++i) now[i] = less(now[i], before[i]);
  return now;
}

uint64_t unsolicited_of(const MonitorTotals& totals) {
  uint64_t sum = 0;
  for (size_t i = 0; i < totals.kinds.size(); ++i) {
    // There, SYN-ACKs are counted whether or not they answer something.
    if (kMonitorKinds[i] == TFO_TARGET_ASYMMETRIC) continue;
    for (const auto& option : totals.kinds[i].unsolicited) {
      for (const tfo_tally& tally : option) sum += tally.packets;
    }
  }
  return sum;
}

void add(Tally& sum, const Tally& more) {
  add(sum.classes, more.classes);
  add(sum.actions, more.actions);
  add(sum.outcomes, more.outcomes);
  sum.timed += more.timed;
  sum.handshake_ms += more.handshake_ms;
  sum.unsolicited += more.unsolicited;
}

double rounded(double number) { return std::round(number * 1000) / 1000; }

nlohmann::json fields() {
  nlohmann::json names = {"number", "at", "seconds", "load", "guarded"};
  for (const auto label : kSynClassLabels) names.push_back(label);
  for (unsigned i = 0; i < TFO_ACTION_COUNT; ++i) names.push_back(action_label(i));
  for (unsigned i = 0; i < TFO_OUTCOME_COUNT; ++i) names.push_back(outcome_label(i));
  for (const char* name : {"timed", "handshake_ms", "unsolicited"}) names.push_back(name);
  return names;
}

nlohmann::json row(const HistoryPoint& point) {
  nlohmann::json out = {point.number, point.at, rounded(point.seconds), point.load, point.guarded};
  for (const uint64_t count : point.change.classes) out.push_back(count);
  for (const uint64_t count : point.change.actions) out.push_back(count);
  for (const uint64_t count : point.change.outcomes) out.push_back(count);
  out.push_back(point.change.timed);
  out.push_back(rounded(point.change.handshake_ms));
  out.push_back(point.change.unsolicited);
  return out;
}

}  // namespace

Tally tally_of(const View& view) {
  Tally sum;
  uint64_t ticks = 0;
  for (const VipCounters& vip : view.counters.vips) {
    add(sum.classes, syn_classes(vip.counters));
    for (size_t i = 0; i < TFO_ACTION_COUNT; ++i) sum.actions[i] += vip.counters.action[i];
    for (size_t i = 0; i < TFO_OUTCOME_COUNT; ++i) sum.outcomes[i] += vip.guard.outcome[i];
    for (const __u64 count : vip.guard.rtt) sum.timed += count;
    ticks += vip.guard.rtt_ticks;
  }
  sum.handshake_ms = ticks_seconds(ticks) * 1000;
  if (view.monitor) sum.unsolicited = unsolicited_of(view.monitor->totals);
  return sum;
}

Tally difference(const Tally& now, const Tally& before) {
  return {.classes = less_each(now.classes, before.classes),
          .actions = less_each(now.actions, before.actions),
          .outcomes = less_each(now.outcomes, before.outcomes),
          .timed = less(now.timed, before.timed),
          .handshake_ms = std::max(0.0, now.handshake_ms - before.handshake_ms),
          .unsolicited = less(now.unsolicited, before.unsolicited)};
}

void History::add(const View& view) {
  const int64_t now_ns = view.counters.taken_ns;
  if (now_ns == 0) return;  // the counters could not be read
  const double seconds = static_cast<double>(now_ns - last_ns_) / 1e9;
  // Half of a reading's second early is on time.
  if (last_ns_ != 0 && seconds < kStep - 0.5) return;
  Tally now = tally_of(view);
  if (last_ns_ != 0) {
    HistoryPoint point{
        .number = ++number_, .at = view.now, .seconds = seconds, .change = difference(now, last_)};
    for (const GuardVipView& vip : view.guard) {
      point.load += vip.load;
      point.guarded += vip.guarded;
    }
    points_.push_back(point);
    if (points_.size() > kPoints) points_.pop_front();
  }
  last_ = now;
  last_ns_ = now_ns;
}

HistoryPoint History::recent(double seconds) const {
  HistoryPoint sum;
  for (auto point = points_.rbegin(); point != points_.rend(); ++point) {
    if (sum.seconds + point->seconds > seconds + kStep / 2) break;
    if (sum.number == 0) {
      sum.number = point->number;
      sum.at = point->at;
      sum.load = point->load;
      sum.guarded = point->guarded;
    }
    sum.seconds += point->seconds;
    tfo::add(sum.change, point->change);
  }
  return sum;
}

nlohmann::json History::json(size_t most) const {
  nlohmann::json points = nlohmann::json::array();
  const size_t first = points_.size() > most ? points_.size() - most : 0;
  for (size_t i = first; i < points_.size(); ++i) points.push_back(row(points_[i]));
  return {{"step", kStep}, {"fields", fields()}, {"points", std::move(points)}};
}

}  // namespace tfo
