// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/engine.h"

#include <algorithm>

namespace tfo::alert {
namespace {

size_t index(Severity severity) { return static_cast<size_t>(severity); }

/// What is in its windows was told by another alert about the same subject: once that is over, it
/// is no news.
template <class Track>
void start_over(Track& track) {
  for (auto& level : track.levels) {
    if (!level) continue;
    level->window.restart();
    level->held_since.reset();
    level->calm_since.reset();
    level->on = false;
  }
}

}  // namespace

Engine::Engine(std::vector<Rule> rules) : rules_(std::move(rules)) {}

size_t Engine::rule_at(std::string_view id) const {
  const auto found = std::ranges::find(rules_, id, &Rule::id);
  return found == rules_.end() ? kNone : static_cast<size_t>(found - rules_.begin());
}

void Engine::build_levels(const Rule& rule, Track& track) const {
  for (size_t i = 0; i < kSeverities; ++i) {
    const std::optional<Level>& level = rule.levels.at(i);
    std::optional<LevelTrack>& place = track.levels.at(i);
    const bool on = place && place->on;
    place.reset();
    if (level) place = LevelTrack{.window = Window(level->window), .on = on};
  }
}

void Engine::set_rules(std::vector<Rule> rules) {
  const std::vector<Rule> before = std::exchange(rules_, std::move(rules));
  std::map<Key, Track> old = std::exchange(tracks_, {});
  for (auto& [key, track] : old) {
    const Rule& rule = before[key.first];
    const size_t at = rule_at(rule.id);
    if (at == kNone) {
      if (track.alert) dropped_.push_back(*track.alert);
      continue;
    }
    if (rules_[at].levels != rule.levels) build_levels(rules_[at], track);
    tracks_.emplace(Key(at, key.second), std::move(track));
  }
}

void Engine::restore(const std::vector<Alert>& alerts) {
  for (const Alert& alert : alerts) {
    const size_t at = rule_at(alert.rule);
    const bool known = at != kNone && rules_[at].levels[index(alert.severity)];
    Track* one = known && active().size() < kMost ? track(at, alert.subject) : nullptr;
    if (one == nullptr) {
      dropped_.push_back(alert);
      continue;
    }
    for (size_t i = 0; i <= index(alert.severity); ++i) {
      if (auto& level = one->levels.at(i)) level->on = true;
    }
    one->alert = std::make_unique<Alert>(alert);
    one->pool = alert.pool;
    one->began = alert.first_seen;
    one->measured = alert.measured.value_or(Measured());
    one->collected_at = now_;
  }
}

/// False after a jump: how much was counted in how long is not known.
bool Engine::advance(int64_t steady_ms) {
  const int64_t gone = last_ ? steady_ms - *last_ : 0;
  last_ = steady_ms;
  const bool jumped = gone < 0 || gone > kJump;
  step_ = jumped ? 0 : gone;
  now_ += step_;
  return !jumped;
}

Engine::Track* Engine::track(size_t rule, const std::string& subject) {
  const Key key(rule, subject);
  if (const auto found = tracks_.find(key); found != tracks_.end()) return &found->second;
  if (tracks_.size() >= kMostTracks) {
    ++untracked_;
    return nullptr;
  }
  Track& fresh = tracks_[key];
  build_levels(rules_[rule], fresh);
  fresh.first_seen = now_;
  return &fresh;
}

/// The tracks whose alerts make those of this one needless.
std::vector<Engine::Track*> Engine::wider(const Rule& rule, const Key& key, const Track& track) {
  std::vector<Track*> all;
  const size_t at = rule.absorbed_by.empty() ? kNone : rule_at(rule.absorbed_by);
  if (at == kNone) return all;
  for (const std::string* subject : {&track.part_of, &key.second}) {
    const auto found = subject->empty() ? tracks_.end() : tracks_.find(Key(at, *subject));
    if (found != tracks_.end()) all.push_back(&found->second);
  }
  return all;
}

/// The one of them whose alert is raised, or itself absorbed: a less severe one does not count.
Engine::Track* Engine::absorber(const Rule& rule, const Key& key, const Track& track) {
  for (Track* one : wider(rule, key, track)) {
    // Nothing is less than anything.
    if (one->wanted >= track.wanted && (one->alert || one->absorbed)) return one;
  }
  return nullptr;
}

/// One of them may soon be raised: a little patience, and one alert is told instead of two.
bool Engine::is_soon_wider(const Rule& rule, const Key& key, const Track& track, Severity wanted) {
  for (const Track* one : wider(rule, key, track)) {
    for (size_t i = index(wanted); i < kSeverities; ++i) {
      const auto& level = one->levels.at(i);
      if (level && level->held_since && !level->on) return true;
    }
  }
  return false;
}

bool Engine::has_room(Severity severity, const Rule& rule) const {
  if (raised_[0] + raised_[1] >= kMost) return false;
  if (severity != Severity::kWarning) return true;
  const auto less = [](const auto& counts, std::string_view name, size_t most) {
    const auto found = counts.find(name);
    return found == counts.end() || found->second < most;
  };
  return raised_[index(severity)] < kMostWarnings && less(warnings_, rule.kind, kMostOfAKind) &&
         less(warnings_by_rule_, rule.id, kMostOfARule);
}

void Engine::count_raised(Severity severity, const Rule& rule) {
  ++raised_[index(severity)];
  if (severity != Severity::kWarning) return;
  ++warnings_[rule.kind];
  ++warnings_by_rule_[rule.id];
}

void Engine::collect(const Key& key, Track& track) const {
  Alert& alert = *track.alert;
  if (rules_[key.first].feed == Feed::kCounters) alert.measured = track.measured;
  alert.pool = track.pool;
  track.collected_at = now_;
  alert.updated_at = unix_;
  const auto feeder = feeders_.find(key);
  if (feeder == feeders_.end() || !feeder->second) return;
  alert.evidence = fit_evidence(feeder->second());
}

void Engine::clear(Track& track, const std::string& why, std::vector<Change>& changes) const {
  Alert& alert = *track.alert;
  if (alert.measured) alert.measured = track.measured;
  changes.push_back({.what = Change::What::kCleared, .alert = alert, .at = unix_, .why = why});
  track.alert.reset();
  track.began.reset();
}

void Engine::decide(const Key& key, Track& track, std::vector<Change>& changes) {
  if (!track.alert) {
    if (!track.wanted || track.absorbed) return;
    if (is_soon_wider(rules_[key.first], key, track, *track.wanted)) return;
    const Rule& rule = rules_[key.first];
    if (!has_room(*track.wanted, rule)) {
      ++crowded_out_[index(*track.wanted)];
      return;
    }
    count_raised(*track.wanted, rule);
    track.alert = std::make_unique<Alert>(Alert{.rule = std::string(rule.id),
                                                .subject = key.second,
                                                .severity = *track.wanted,
                                                .raised_at = unix_,
                                                .first_seen = track.began.value_or(unix_),
                                                .last_seen = unix_});
    collect(key, track);
    changes.push_back({.what = Change::What::kRaised, .alert = *track.alert, .at = unix_});
    return;
  }
  if (!track.wanted || track.absorbed) {
    clear(track, track.absorbed ? "a wider alert holds it" : "calm again", changes);
    return;
  }
  const Severity was = std::exchange(track.alert->severity, *track.wanted);
  const bool changed = was != *track.wanted;
  if (!changed && now_ - track.collected_at < kRefresh) {
    if (track.alert->measured) track.alert->measured = track.measured;
    return;
  }
  collect(key, track);
  changes.push_back({.what = changed ? Change::What::kSeverity : Change::What::kEvidence,
                     .alert = *track.alert,
                     .was = was,
                     .at = unix_});
}

void Engine::absorb() {
  raised_ = {};
  warnings_.clear();
  warnings_by_rule_.clear();
  for (auto& [key, track] : tracks_) {
    track.wanted.reset();
    for (const Severity severity : kAllSeverities) {
      const auto& level = track.levels[index(severity)];
      if (level && level->on) track.wanted = severity;
    }
    if (!track.alert) continue;
    // On its way to be cleared: not told to be less severe first.
    const auto& warning = track.levels[index(Severity::kWarning)];
    if (track.wanted == Severity::kWarning && warning && warning->calm_since) {
      track.wanted = track.alert->severity;
    }
    track.alert->absorbed = 0;
    count_raised(track.alert->severity, rules_[key.first]);
  }
}

void Engine::tell_dropped(std::vector<Change>& changes) {
  for (Alert& alert : std::exchange(dropped_, {})) {
    changes.push_back({.what = Change::What::kCleared,
                       .alert = std::move(alert),
                       .at = unix_,
                       .why = "its rule is not in force any more"});
  }
}

void Engine::forget_idle() {
  std::erase_if(tracks_, [&](const auto& entry) {
    return entry.second.tick != ticks_ && !entry.second.alert && !entry.second.wanted;
  });
}

std::vector<Change> Engine::tick(Instant now, const std::vector<Sample>& samples,
                                 const std::vector<State>& states) {
  const bool steady = advance(now.steady_ms);
  unix_ = now.unix_s;
  ++ticks_;
  untracked_ = 0;
  crowded_out_ = {};
  waiting_.clear();
  waiting_total_ = 0;
  feeders_.clear();
  if (!steady) {
    for (auto& [key, track] : tracks_) {
      freeze(track);
      for (auto& level : track.levels) {
        if (level) level->window.restart();
      }
    }
  }
  for (const Sample& sample : samples) take(sample);
  for (const State& state : states) take(state);
  quiet_others();
  std::vector<Change> changes;
  tell_dropped(changes);
  absorb();
  for (auto& [key, track] : tracks_) {
    Track* wider = track.wanted ? absorber(rules_[key.first], key, track) : nullptr;
    track.absorbed = wider != nullptr;
    if (wider != nullptr && wider->alert) ++wider->alert->absorbed;
    const auto same = tracks_.find(Key(rule_at(rules_[key.first].absorbed_by), key.second));
    if (same != tracks_.end() && wider == &same->second) start_over(track);
    decide(key, track, changes);
  }
  forget_idle();
  return changes;
}

std::vector<Alert> Engine::active() const {
  std::vector<Alert> all;
  for (const auto& [key, track] : tracks_) {
    if (track.alert) all.push_back(*track.alert);
  }
  std::ranges::stable_sort(all, [](const Alert& a, const Alert& b) {
    if (a.severity != b.severity) return a.severity > b.severity;
    return a.raised_at < b.raised_at;
  });
  return all;
}

}  // namespace tfo::alert
