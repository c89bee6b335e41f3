// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader/alert/alert.h"
#include "loader/alert/rule.h"
#include "loader/alert/window.h"

namespace tfo::alert {

/// May a sample raise an alert? One that may not leaves what is raised as it is, and is shown.
enum class Readiness {
  kReady,
  kNotWarm,    // it began lately: what came before is not known
  kUnproven,   // nothing shows yet that what is counted is what is meant
  kInhibited,  // what is counted has a known reason now
};

/// "ready", "not_warm", "unproven", "inhibited".
std::string_view to_string(Readiness readiness);

using Evidence = std::function<nlohmann::json()>;

/// What is counted for a rule about one subject. Given again at each tick for every subject that is
/// watched, quiet ones too: the first one is what the next ones are compared with. A subject that
/// is not given any more becomes calm.
struct Sample {
  std::string rule;     // Rule::id
  std::string subject;  // the victim: name of a VIP, a prefix, a pool
  std::string pool = {};
  uint64_t count = 0;    // only grows, or begins anew; packets
  uint64_t bytes = 0;    // likewise; of them
  uint64_t total = 0;    // likewise; what `share` is a part of
  uint64_t sources = 0;  // distinct ones lately; or addresses that are hit
  double floor = 0;      // a second: no rate below it is asked for, whatever the rule says
  bool saturated = false;
  double demand = 1;  // so many times the rates and volumes of the rule are asked for
  Readiness readiness = Readiness::kReady;
  std::string why = {};      // it is not ready
  std::string part_of = {};  // subject of the wider alert (carpet) that this is a part of
  /// Asked only when it is wanted, during the tick.
  Evidence evidence = {};
};

/// Something that is so now. What is not given any more is over.
struct State {
  std::string rule;
  std::string subject;
  std::string pool = {};
  std::string text = {};   // evidence
  Evidence evidence = {};  // more of it, an object; likewise asked only when it is wanted
};

/// Both clocks at a tick. `steady_ms` only counts (a jump of it is noticed, and neither raises nor
/// loses an alert), `unix_s` may be set at any time and only dates what happens.
struct Instant {
  int64_t steady_ms = 0;
  int64_t unix_s = 0;
};

/// A subject that may not raise an alert now.
struct Waiting {
  std::string rule;
  std::string subject;
  Readiness readiness = Readiness::kNotWarm;
  std::string why;
};

/// Decides what is an alert. No clock, no input or output of its own; ticks are meant to come every
/// second. Memory is bounded by kMostTracks subjects and kMost alerts.
class Engine {
 public:
  static constexpr size_t kMost = 64;          // alerts that are raised
  static constexpr size_t kMostWarnings = 48;  // so that there is room for critical ones
  static constexpr size_t kMostOfAKind = 32;   // warnings of one Rule::kind: for those of others
  // Warnings of one rule: networks that somebody reflects off us leave room for attacks on us.
  static constexpr size_t kMostOfARule = 16;
  static constexpr size_t kMostTracks = 131'072;
  static constexpr size_t kMostWaiting = 64;   // that are shown
  static constexpr int64_t kJump = 15'000;     // ms between two ticks: more is a jump of the clock
  static constexpr int64_t kRefresh = 30'000;  // ms between two collections of evidence

  explicit Engine(std::vector<Rule> rules);

  /// Another configuration: alerts of rules that are off now are cleared by the next tick.
  void set_rules(std::vector<Rule> rules);

  /// Takes over alerts of the tfod before this one, as they were: nothing is told of them. Before
  /// the first tick.
  void restore(const std::vector<Alert>& alerts);

  /// What changed. Rules that are not known or off are left out.
  std::vector<Change> tick(Instant now, const std::vector<Sample>& samples,
                           const std::vector<State>& states);

  /// Critical ones first, then by age.
  std::vector<Alert> active() const;
  /// Of the last tick: at most kMostWaiting, and how many there were.
  const std::vector<Waiting>& waiting() const { return waiting_; }
  size_t waiting_total() const { return waiting_total_; }
  /// Alerts, at the last tick, for which there was no room; by Severity.
  const std::array<size_t, kSeverities>& crowded_out() const { return crowded_out_; }
  /// Samples of the last tick for which there was no room.
  size_t untracked() const { return untracked_; }

 private:
  struct LevelTrack {
    Window window{std::chrono::seconds(1)};
    std::optional<int64_t> held_since = {};
    std::optional<int64_t> calm_since = {};
    bool on = false;
  };
  struct Track {
    std::array<std::optional<LevelTrack>, kSeverities> levels;
    Baseline baseline;
    int64_t first_seen = 0;  // steady
    uint64_t tick = 0;       // in which it was given last
    uint64_t last_count = 0, last_bytes = 0;
    std::optional<int64_t> began;  // unix: above half since then
    Measured measured;             // since then
    std::string pool;
    std::string part_of;
    std::optional<Severity> wanted;
    bool absorbed = false;
    int64_t collected_at = 0;  // steady
    std::unique_ptr<Alert> alert;
  };
  /// (position in rules_, subject): absorbing rules first.
  using Key = std::pair<size_t, std::string>;
  using Feeders = std::map<Key, Evidence>;

  static constexpr size_t kNone = SIZE_MAX;
  size_t rule_at(std::string_view id) const;
  bool advance(int64_t steady_ms);
  Track* track(size_t rule, const std::string& subject);
  void build_levels(const Rule& rule, Track& track) const;
  void take(const Sample& sample);
  void take(const State& state);
  void measure(const Rule& rule, const Sample& sample, Track& track, double strength) const;
  void step(const Rule& rule, Track& track, const std::array<double, kSeverities>& strengths);
  static void freeze(Track& track);
  void hold_back(const Rule& rule, Track& track, std::array<double, kSeverities> strengths);
  void wait(const Rule& rule, const Sample& sample, Readiness readiness, std::string why);
  void quiet_others();
  void absorb();
  std::vector<Track*> wider(const Rule& rule, const Key& key, const Track& track);
  Track* absorber(const Rule& rule, const Key& key, const Track& track);
  bool is_soon_wider(const Rule& rule, const Key& key, const Track& track, Severity wanted);
  void decide(const Key& key, Track& track, std::vector<Change>& changes);
  void collect(const Key& key, Track& track) const;
  bool has_room(Severity severity, const Rule& rule) const;
  void count_raised(Severity severity, const Rule& rule);
  void clear(Track& track, const std::string& why, std::vector<Change>& changes) const;
  void tell_dropped(std::vector<Change>& changes);
  void forget_idle();

  std::vector<Rule> rules_;
  std::map<Key, Track> tracks_;
  Feeders feeders_;              // of this tick
  std::vector<Alert> dropped_;   // of rules that went; told by the next tick
  std::optional<int64_t> last_;  // steady
  int64_t now_ = 0;              // ms; does not jump
  int64_t step_ = 0;             // ms since the last tick
  int64_t unix_ = 0;
  uint64_t ticks_ = 0;
  std::array<size_t, kSeverities> raised_{};
  std::map<std::string_view, size_t> warnings_;          // that are raised, by Rule::kind
  std::map<std::string_view, size_t> warnings_by_rule_;  // by Rule::id
  std::array<size_t, kSeverities> crowded_out_{};
  size_t untracked_ = 0;
  size_t waiting_total_ = 0;
  std::vector<Waiting> waiting_;
};

}  // namespace tfo::alert
