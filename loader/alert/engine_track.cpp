// SPDX-License-Identifier: BSD-2-Clause
// What an engine makes of samples and states, subject by subject.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "loader/alert/engine.h"

namespace tfo::alert {
namespace {

constexpr int64_t kSecond = 1000;
constexpr double kHalf = 0.5;

int64_t ms(std::chrono::seconds time) { return time.count() * kSecond; }

double part(double is, double wanted, double strength) {
  return wanted > 0 ? std::min(strength, is / wanted) : strength;
}

/// How far the demand that is met least is met; 1: all are. `baseline` is the median.
double strength_of(const Level& level, const Window& window, const Sample& sample, double baseline,
                   bool learns) {
  double strength = std::numeric_limits<double>::infinity();
  const double rate = level.rate > 0 ? std::max(level.rate * sample.demand, sample.floor) : 0;
  strength = part(window.rate(), rate, strength);
  strength = part(static_cast<double>(window.count()),
                  static_cast<double>(level.volume) * sample.demand, strength);
  if (level.few_rate <= 0 || window.rate() < level.few_rate * sample.demand) {
    strength =
        part(static_cast<double>(sample.sources), static_cast<double>(level.sources), strength);
  }
  strength = part(window.share(), level.share, strength);
  const double own = level.share > 0 && !learns ? window.share() : window.rate();
  strength = part(own, level.baseline * baseline, strength);
  if (level.saturated) strength = std::min(strength, sample.saturated ? 1.0 : 0.0);
  return strength;
}

}  // namespace

std::string_view to_string(Readiness readiness) {
  constexpr std::string_view kWords[] = {"ready", "not_warm", "unproven", "inhibited"};
  return kWords[static_cast<size_t>(readiness)];
}

void Engine::freeze(Track& track) {
  for (auto& level : track.levels) {
    if (!level) continue;
    level->held_since.reset();
    level->calm_since.reset();
  }
}

/// It may not raise an alert: what was building up is forgotten. What is raised stays until it is
/// calm: who is quiet at night proves nothing by day, and has been left alone all the same.
void Engine::hold_back(const Rule& rule, Track& track, std::array<double, kSeverities> strengths) {
  for (double& strength : strengths) strength = std::min(strength, kHalf);
  step(rule, track, strengths);
  if (track.alert) return;
  for (auto& level : track.levels) {
    if (level) level->on = false;
  }
}

void Engine::wait(const Rule& rule, const Sample& sample, Readiness readiness, std::string why) {
  ++waiting_total_;
  if (waiting_.size() >= kMostWaiting) return;
  waiting_.push_back({std::string(rule.id), sample.subject, readiness, std::move(why)});
}

void Engine::take(const Sample& sample) {
  const size_t at = rule_at(sample.rule);
  if (at == kNone || rules_[at].feed != Feed::kCounters) return;
  const Rule& rule = rules_[at];
  Track* one = track(at, sample.subject);
  if (one == nullptr) return;
  std::array<double, kSeverities> strengths{};
  const bool first = one->tick == 0;
  for (size_t i = 0; i < kSeverities; ++i) {
    auto& tracked = one->levels.at(i);
    const auto& level = rule.levels.at(i);
    if (!tracked || !level) continue;
    tracked->window.add(now_, sample.count, sample.total);
    // What was raised before a restart is judged by the rest of its demands until the median is
    // known.
    const bool unknown = rule.learns && level->baseline > 0 && !one->baseline.known();
    if (unknown && !tracked->on) continue;
    strengths.at(i) =
        strength_of(*level, tracked->window, sample, one->baseline.median(), rule.learns);
  }
  if (first) one->last_count = sample.count, one->last_bytes = sample.bytes;
  one->tick = ticks_;
  one->pool = sample.pool;
  one->part_of = sample.part_of;
  feeders_[Key(at, sample.subject)] = sample.evidence;
  measure(rule, sample, *one, *std::ranges::max_element(strengths));
  const bool cold = now_ - one->first_seen < ms(rule.warm_up);
  if (sample.readiness != Readiness::kReady) {
    wait(rule, sample, sample.readiness, sample.why);
    return hold_back(rule, *one, strengths);
  }
  if (cold) {
    wait(rule, sample, Readiness::kNotWarm,
         fmt::format("watched for {} s of {}", (now_ - one->first_seen) / kSecond,
                     rule.warm_up.count()));
    return hold_back(rule, *one, strengths);
  }
  step(rule, *one, strengths);
}

/// The numbers of the alert that this is or may become.
void Engine::measure(const Rule& rule, const Sample& sample, Track& track, double strength) const {
  const auto& shown = track.levels[0] ? track.levels[0] : track.levels[1];
  if (!shown) return;
  const Window& window = shown->window;
  Measured& now = track.measured;
  const bool began = strength >= kHalf;
  const uint64_t packets = sample.count - std::min(sample.count, track.last_count);
  const uint64_t bytes = sample.bytes - std::min(sample.bytes, track.last_bytes);
  if (began && !track.began) {
    track.began = unix_;
    // What brought it here is older than this tick.
    now = Measured{.packets = window.count(), .bytes = bytes};
    if (packets > 0 && packets < now.packets) {
      now.bytes = static_cast<uint64_t>(static_cast<double>(bytes) / static_cast<double>(packets) *
                                        static_cast<double>(now.packets));
    }
  } else if (track.began) {
    now.packets += packets;
    now.bytes += bytes;
  }
  track.last_count = sample.count;
  track.last_bytes = sample.bytes;
  now.rate = window.rate();
  now.peak_rate = std::max(now.peak_rate, now.rate);
  now.share = window.share();
  now.baseline = track.baseline.median();
  now.sources = sample.sources;
  if (track.alert && began) track.alert->last_seen = unix_;
  if (!began && !track.alert) {
    track.began.reset();
    now = Measured();
  }
  const bool by_share = !rule.learns && std::ranges::any_of(rule.levels, [](const auto& level) {
    return level && level->share > 0;
  });
  if (!track.began) track.baseline.add(step_, by_share ? window.share() : window.rate());
}

void Engine::take(const State& state) {
  const size_t at = rule_at(state.rule);
  if (at == kNone || rules_[at].feed != Feed::kState) return;
  Track* one = track(at, state.subject);
  if (one == nullptr) return;
  one->tick = ticks_;
  one->pool = state.pool;
  if (!one->began) one->began = unix_;
  if (one->alert) one->alert->last_seen = unix_;
  feeders_[Key(at, state.subject)] = [text = state.text, more = state.evidence] {
    nlohmann::json out = more ? more() : nlohmann::json::object();
    out["text"] = text;
    return out;
  };
  step(rules_[at], *one, {1, 1});
}

void Engine::step(const Rule& rule, Track& track,
                  const std::array<double, kSeverities>& strengths) {
  for (size_t i = 0; i < kSeverities; ++i) {
    auto& tracked = track.levels.at(i);
    const auto& demand = rule.levels.at(i);
    if (!tracked || !demand) continue;
    LevelTrack& level = *tracked;
    const double strength = strengths.at(i);
    if (strength >= 1) {
      level.calm_since.reset();
      const int64_t since = level.held_since.value_or(now_);
      level.held_since = since;
      if (now_ - since >= ms(demand->hold)) level.on = true;
      continue;
    }
    level.held_since.reset();
    // Half a window tells of no calm.
    if (strength >= kHalf || !level.on || !level.window.full(now_)) {
      level.calm_since.reset();
      continue;
    }
    const int64_t since = level.calm_since.value_or(now_);
    level.calm_since = since;
    if (now_ - since >= ms(rule.clear_after)) level.on = false;
  }
}

/// Subjects that were not given are calm.
void Engine::quiet_others() {
  for (auto& [key, track] : tracks_) {
    if (track.tick == ticks_) continue;
    step(rules_[key.first], track, {0, 0});
    track.measured.rate = 0;
    if (!track.alert) track.began.reset();
  }
}

}  // namespace tfo::alert
