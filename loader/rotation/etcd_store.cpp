// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/etcd_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "loader/keys/derived_change.h"
#include "loader/log.h"
#include "loader/rotation/document.h"
#include "loader/rotation/fetch_first.h"

namespace tfo::rotation {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

/// One attempt at the first document, and how often the log says that it is waited for.
constexpr milliseconds kAttempt{3000};
constexpr milliseconds kPause{500};
constexpr milliseconds kSay{5000};

/// What an agent may be troubled by, besides what it says: cleared where it says nothing.
constexpr const char* kTroubles[] = {
    "store_unreachable", "store_rolled_back", "store_refused",   "fork",
    "farm_key_missing",  "straggler",         "rotation_held",   "not_member",
    "clock_off",         "state_unsaved",     "revocation_lost", "name_taken"};

/// These signals are blocked until the event loop takes them, which it does only after the start.
bool told_to_end() {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

milliseconds left_until(Steady::time_point end) {
  return std::max(std::chrono::duration_cast<milliseconds>(end - Steady::now()), milliseconds(0));
}

}  // namespace

std::string partial_text(const Confirmation& confirmed, const std::string& besides) {
  std::vector<std::string> parts;
  if (!confirmed.missing.empty()) {
    parts.push_back(fmt::format("not in force: {}", fmt::join(confirmed.missing, ", ")));
  }
  if (!confirmed.changed.empty()) {
    parts.push_back(
        fmt::format("changed by somebody else: {}", fmt::join(confirmed.changed, ", ")));
  }
  if (!besides.empty()) parts.push_back(besides);
  return fmt::format("{}", fmt::join(parts, "; "));
}

EtcdStore::Source EtcdStore::etcd(EventLoop& loop, const Settings& settings, const Clock& clock) {
  return {.make_agent =
              [&loop, &clock, settings](Agent::Changed changed) {
                return Agent::create(loop, settings, clock, std::move(changed));
              },
          .fetch = [&clock, settings](
                       milliseconds patience) { return fetch_first(settings, clock, patience); }};
}

EtcdStore::EtcdStore(Settings settings, Source source, Steady::time_point patience_until)
    : settings_(std::move(settings)),
      source_(std::move(source)),
      patience_until_(patience_until),
      trust_(settings_.state_file),
      wakeup_(std::make_shared<Fd>()) {}

Result<> EtcdStore::make_agent() {
  agent_.reset();
  auto made = source_.make_agent([wakeup = wakeup_] { eventfd_write(wakeup->get(), 1); });
  if (!made) return tl::unexpected(std::move(made.error()));
  agent_ = std::move(*made);
  return {};
}

Result<> EtcdStore::open(const Moment& now, const std::vector<Key>&) {
  *wakeup_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!*wakeup_) return fail_errno("eventfd");
  if (auto made = make_agent(); !made) return made;
  if (!agent_->document()) {
    if (auto got = wait_for_first(); !got) return got;
    if (auto made = make_agent(); !made) return made;
  }
  if (!agent_->document()) return fail(no_document(settings_, "it was read and could not be kept"));
  trusted_before_ = trust_.load(now);
  if (auto looked = look(now); !looked) return tl::unexpected(std::move(looked.error()));
  return {};
}

Result<> EtcdStore::wait_for_first() const {
  std::optional<Steady::time_point> said;
  while (true) {
    const auto left = left_until(patience_until_);
    const auto got = source_.fetch(std::clamp(left, kPause, kAttempt));
    if (got) return {};
    const auto still = left_until(patience_until_);
    if (still.count() == 0 || told_to_end())
      return fail(no_document(settings_, got.error().message));
    if (!said || Steady::now() - *said >= kSay) {
      said = Steady::now();
      log_warning("pool {}: no keys yet, waiting {} s more for etcd: {}", settings_.pool,
                  (still.count() + 999) / 1000, got.error().message);
    }
    std::this_thread::sleep_for(std::min(kPause, still));
  }
}

/// The end that is handed out is a second early, since the agent's reckoning of it may go back and
/// forth by one. Never 0, which means that there is none.
int64_t EtcdStore::trusted_until(const Moment& now, bool fresh_document) {
  const int64_t confirmed = agent_->trusted_until();
  if (confirmed != 0) trusted_before_.reset();
  const int64_t known = std::max<int64_t>(trusted_before_.value_or(confirmed - 1), 1);
  const int64_t coarse = std::max<int64_t>(1, settings_.fresh_for / 16);
  if (!fresh_document && known + 1 >= until_ && known < until_ + coarse) return until_;
  until_ = known;
  if (confirmed == 0 || !settings_.balancer) return until_;
  // Lost, it costs some renewals at the next start.
  if (const auto saved = trust_.save(now, until_); !saved) log_debug("{}", saved.error().message);
  return until_;
}

Result<bool> EtcdStore::look(const Moment& now) {
  const std::optional<Document>& document = agent_->document();
  if (!document) return false;
  at_ = std::max(now.unix_s, document->issued_at);
  const bool fresh = ring_.revision == 0 || document->counter != counter_;
  KeyRing ring = ring_of(guarded(*document, agent_->lost()), ring_.revision + 1, at_,
                         trusted_until(now, fresh));
  if (!settings_.balancer) {
    ring.renewal = {};
    ring.fresh_until = 0;
  }
  if (auto sound = ring.check(); !sound) {
    return tl::unexpected(std::move(sound.error()).in("document " + document->counter.text()));
  }
  counter_ = document->counter;
  hash_ = hash_of(*document);
  if (ring_.revision != 0 && same_ring(ring, ring_)) return false;
  ring_ = std::move(ring);
  return true;
}

Result<bool> EtcdStore::step(const Moment& now, const Confirmation& confirmed) {
  eventfd_t drained = 0;
  eventfd_read(wakeup_->get(), &drained);
  if (!started_) {
    started_ = true;
    agent_->start();
  }
  auto looked = look(now);
  if (looked && !*looked) confirm(confirmed);
  return looked;
}

void EtcdStore::confirm(const Confirmation& confirmed) {
  if (confirmed.revision != ring_.revision) return;
  std::string besides = report_.partial;
  const auto& document = agent_->document();
  if (besides.empty() && document && touches_slots(*document, agent_->lost())) {
    besides = "a generation in the slots was revoked, which etcd has lost";
  }
  Applied applied{.counter = counter_,
                  .hash = hash_,
                  .partial = partial_text(confirmed, besides),
                  .renews = settings_.balancer && report_.renews && until_ > at_,
                  .listeners = report_.listeners};
  if (said_ == applied) return;
  said_ = applied;
  agent_->confirm(applied);
}

Result<> EtcdStore::rotate(const Moment&) {
  auto asked = agent_->ask({});
  if (!asked) return tl::unexpected(std::move(asked.error()));
  return {};
}

Result<> EtcdStore::import(const Moment&, const std::vector<Key>&) {
  return fail(
      "its keys are the farm's: give them to `tfoctl farm init --key-file FILE` when the farm is "
      "made, or rotate");
}

std::optional<int64_t> EtcdStore::next_wakeup() const {
  std::optional<int64_t> next;
  const auto consider = [&](int64_t when) {
    if (when > at_ && (!next || when < *next)) next = when;
  };
  for (const Generation& generation : ring_.generations) consider(generation.not_after);
  if (settings_.balancer) consider(until_);
  return next;
}

std::optional<int64_t> EtcdStore::next_rotation() const {
  const std::optional<Document>& document = agent_->document();
  if (!document || settings_.policy.interval == 0 || document->state != State::kSteady) return {};
  return document->rotated_at + settings_.policy.interval;
}

/// At a start the agent may not have asked yet: that alone is no trouble.
std::string EtcdStore::stale() const {
  const auto troubles = agent_->troubles();
  const bool troubled =
      std::ranges::any_of(troubles, [](const StoreTrouble& one) { return !one.evidence.empty(); });
  if (!settings_.balancer || until_ > at_ || !troubled) return {};
  return fmt::format(
      "etcd has not confirmed document {} for {} s (fresh_for): cookies that some server lacks the "
      "key for pass as they are",
      counter_.text(), settings_.fresh_for);
}

std::vector<StoreTrouble> EtcdStore::troubles() const {
  std::vector<StoreTrouble> all = agent_->troubles();
  all.push_back({.id = "ring_stale", .evidence = stale()});
  for (const char* id : kTroubles) {
    if (std::ranges::none_of(all, [&](const StoreTrouble& one) { return one.id == id; })) {
      all.push_back({.id = id, .evidence = {}});
    }
  }
  return all;
}

bool EtcdStore::outcast() const {
  return std::ranges::any_of(agent_->troubles(), [](const StoreTrouble& one) {
    return one.id == "not_member" && !one.evidence.empty();
  });
}

}  // namespace tfo::rotation
