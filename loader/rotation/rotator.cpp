// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/rotator.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "loader/etcd/pages.h"
#include "loader/log.h"
#include "loader/rotation/answer.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

/// etcd takes 128 operations and 128 comparisons (--max-txn-ops): the document, two for each answer
/// and two for each member that is forgotten, of which the machine takes kMostForgotten at a time.
constexpr size_t kMostOperations = 128;
static_assert(1 + 2 * (kMostForgotten + 1) + 2 <= kMostOperations);
constexpr milliseconds kRetryStep{500};
constexpr milliseconds kMostRetry{16'000};
constexpr milliseconds kBetweenSteps{20};
constexpr int64_t kShare = 10;  // a look's time to that between two
constexpr milliseconds kMostSleep{3'600'000};

template <class All>
std::string joined(const All& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Rotator::Rotator(Site& site, Follower& follower, const Presence& presence, Hooks hooks)
    : site_(site),
      follower_(follower),
      presence_(presence),
      hooks_(std::move(hooks)),
      machine_(site.settings.policy, site.settings.node),
      roster_(site),
      reports_(site, roster_) {}

Result<> Rotator::start() {
  auto timer = site_.loop.timer([this] { consider(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  auto load_timer = site_.loop.timer([this] { load(); });
  if (!load_timer) return tl::unexpected(load_timer.error());
  load_timer_ = std::move(*load_timer);
  return reports_.start();
}

void Rotator::lead(int64_t create_revision) {
  create_revision_ = create_revision;
  since_ = boot_ms();
  busy_ = false;
  unknown_in_ = 0;
  next_load_ = kRetryStep;
  roster_.clear();
  reports_.lead(create_revision);
  load();
}

void Rotator::stop() {
  create_revision_ = 0;
  loaded_ = removing_ = false;
  watch_.reset();
  call_.reset();
  remove_call_.reset();
  timer_.stop();
  load_timer_.stop();
  reports_.stop();
  decision_ = {};
  for (const char* id : {kStraggler, kRotationHeld}) site_.troubles.clear(id);
}

void Rotator::load() {
  watch_.reset();
  loaded_ = false;
  etcd::Range all;
  all.key = site_.key("");
  all.range_end = etcd::prefix_end(all.key);
  busy_ = true;
  call_ = etcd::range_by_pages(*site_.client, all, [this](const auto& reply) { loaded(reply); });
}

void Rotator::load_later() {
  load_timer_.start(next_load_);
  next_load_ = std::min(2 * next_load_, kMostRetry);
}

void Rotator::loaded(const etcd::Outcome<etcd::RangeReply>& reply) {
  busy_ = false;
  if (!reply) {
    site_.tell(reply.error());
    return load_later();
  }
  roster_.load_again(reply->kvs);
  auto watch = etcd::Watch::open(
      *site_.client, {site_.key(""), etcd::prefix_end(site_.key("")), reply->header.revision + 1},
      [this](const etcd::WatchNotice& notice) { noticed(notice); });
  if (!watch) return load_later();
  watch_ = std::move(*watch);
  next_load_ = kRetryStep;
  loaded_ = true;
  consider_soon();
}

void Rotator::noticed(const etcd::WatchNotice& notice) {
  for (const auto& event : notice.events) roster_.apply(event);
  if (notice.behind) follower_.read_now();
  if (notice.ended() && !busy_) return load();
  if (notice.ended()) {
    watch_.reset();
    return load_timer_.start(kRetryStep);
  }
  if (!notice.events.empty()) consider_soon();
}

/// Of a thousand acknowledgements not each by itself: looking must not be what the leader does.
void Rotator::consider_soon() {
  if (!leading()) return;
  const int64_t pause = std::max(kBetweenSteps.count(), kShare * considering_ms_);
  const int64_t from = std::max(considered_at_ + pause, not_before_);
  timer_.start(milliseconds(std::max<int64_t>(0, from - boot_ms())));
}

void Rotator::take(const Reading& reading) {
  if (!leading()) return;
  // It cannot promise what it writes: let another one lead.
  if (site_.troubles.raised(kStateUnsaved)) return hooks_.resign();
  if (unknown_in_ == 0 || reading.number <= unknown_in_) return;
  unknown_in_ = 0;
  consider_soon();
}

/// One by one; each that is gone is an event, and the next look. So store_refused does not stay for
/// ever.
void Rotator::remove_forged() {
  const auto& forged = roster_.forged();
  if (forged.empty() || removing_) return;
  const std::string key = site_.key(forged.begin()->first);
  etcd::Txn txn;
  txn.when = {still_leader(), etcd::value_is(key, forged.begin()->second)};
  txn.then = {etcd::Delete{key, ""}};
  removing_ = true;
  remove_call_ = etcd::txn(*site_.client, txn, [this](const auto&) { removing_ = false; });
}

FarmView Rotator::view() const {
  FarmView view = roster_.view();
  view.document = site_.known();
  const int64_t leads_for = boot_ms() - since_;
  view.may_mint = leads_for >= 2 * site_.ttl().count();
  view.complete = leads_for >= site_.confirm_window().count();
  return view;
}

void Rotator::consider() {
  // What is in etcd and not ours is followed, put back or united first, by whoever may.
  if (!leading() || !loaded_ || busy_ || unknown_in_ != 0 || !follower_.in_step()) return;
  considered_at_ = boot_ms();
  const FarmView view = this->view();
  decision_ = machine_.decide(view, site_.now());
  considering_ms_ = boot_ms() - considered_at_;
  for (const std::string& id : roster_.replayed()) {
    decision_.refused[id] = "it was answered or removed before: ask again";
  }
  remove_forged();
  reports_.look(view.complete);
  tell();
  if (!decision_.resign.empty()) {
    site_.troubles.raise(kClockOff, decision_.resign);
    site_.troubles.settle(kClockOff);
    return hooks_.resign();
  }
  site_.troubles.clear(kClockOff);
  if (decision_.next || !decision_.refused.empty()) return write();
  sleep_until(decision_.wake_at, view);
}

void Rotator::sleep_until(std::optional<int64_t> wake_at, const FarmView& seen) {
  milliseconds delay = kMostSleep;
  if (wake_at) {
    const int64_t left = std::clamp<int64_t>(*wake_at - site_.now(), 0, 3600);
    const int64_t begun = site_.clock.now().unix_ns / 1'000'000;
    delay = std::max(milliseconds(100), milliseconds(left * 1000 - begun + 1));
  }
  // By what was decided, not by what is the time now: it may have come since.
  const auto at_most_to = [&](milliseconds span) {
    const int64_t left = since_ + span.count() - boot_ms();
    delay = std::min(delay, milliseconds(std::max<int64_t>(1, left)));
  };
  if (!seen.complete) at_most_to(site_.confirm_window());
  if (!seen.may_mint) at_most_to(2 * site_.ttl());
  timer_.start(delay);
}

void Rotator::tell() {
  const auto set = [this](const char* id, const std::string& evidence) {
    if (evidence.empty()) return site_.troubles.clear(id);
    site_.troubles.raise(id, evidence);
  };
  const bool late = site_.now() >= site_.known().state_since + site_.settings.policy.deadline;
  set(kStraggler,
      late && !decision_.waits_for.empty()
          ? fmt::format("{} since more than {} s without: {}", to_string(site_.known().state),
                        site_.settings.policy.deadline, joined(decision_.waits_for))
          : "");
  set(kRotationHeld, decision_.held);
  const std::string refused = roster_.refused();
  if (!refused.empty()) {
    site_.troubles.raise(kStoreRefused, refused);
    site_.troubles.settle(kStoreRefused);
  }
  hooks_.changed();
}

/// A member that has come back in the meantime is not forgotten.
void Rotator::add_forgotten(etcd::Txn& txn) const {
  for (const std::string& node : decision_.forget) {
    if (!roster_.live().contains(node)) {
      txn.when.push_back(etcd::absent(site_.key(kLivePrefix + node)));
    }
    txn.then.emplace_back(etcd::Delete{site_.key(kMemberPrefix + node), ""});
    txn.then.emplace_back(etcd::Delete{site_.key(kAckPrefix + node), ""});
  }
}

bool Rotator::add_answer(etcd::Txn& txn, const std::string& id, const std::string* why) {
  if (txn.then.size() + 2 > kMostOperations) return false;
  const Answer answer{id, why == nullptr, why == nullptr ? "" : *why};
  const std::string text =
      to_json(answer).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto sealed = site_.seal(kAnswerPrefix + id, site_.known().counter, text,
                                 decision_.next ? decision_.next->min_key : 0);
  txn.then.emplace_back(etcd::Delete{site_.key(kRequestPrefix + id), ""});
  if (sealed) {
    txn.then.emplace_back(etcd::Put{site_.key(kAnswerPrefix + id), *sealed, presence_.lease()});
  }
  return true;
}

/// What is served must go with the document that serves it; refusals can wait for their turn.
void Rotator::add_answers(etcd::Txn& txn) {
  for (const std::string& id : decision_.served) add_answer(txn, id, nullptr);
  for (const auto& [id, why] : decision_.refused) {
    if (!add_answer(txn, id, &why)) return;
  }
}

void Rotator::write() {
  etcd::Txn txn;
  const std::string ring = site_.key(kRing);
  txn.when = {still_leader(), etcd::value_is(ring, follower_.value().value_or(""))};
  std::optional<std::string> value;
  if (decision_.next) {
    const Document& next = *decision_.next;
    // Nobody could read it again, and nothing would replace it.
    if (const auto sound = next.check(); !sound) {
      log_error("pool {}: document {} is not written: {}", site_.settings.pool, next.counter.text(),
                sound.error().message);
      return timer_.start(site_.poll());
    }
    auto sealed = site_.seal(kRing, next.counter, encode(next), next.min_key);
    if (!sealed) return timer_.start(site_.poll());
    txn.then.emplace_back(etcd::Put{ring, *sealed, 0});
    value = std::move(*sealed);
    log_info("pool {}: document {}: {}", site_.settings.pool, next.counter.text(),
             to_string(next.state));
  }
  add_forgotten(txn);
  add_answers(txn);
  busy_ = true;
  call_ = etcd::txn(*site_.client, txn, [this, value](const auto& reply) { wrote(value, reply); });
}

void Rotator::wrote(const std::optional<std::string>& value,
                    const etcd::Outcome<etcd::TxnReply>& reply) {
  busy_ = false;
  if (reply && reply->succeeded) {
    // Before the watch tells of it: the next look would refuse what was just served.
    for (const std::string& id : decision_.served) roster_.forget_request(id);
    roster_.forget(decision_.forget);
    if (value) follower_.take(value, reply->header.revision);
    return consider_soon();
  }
  // Not done, or nobody knows: what is there now decides. (A write that is done late fails on the
  // value that it compares.)
  if (!reply) log_warning("pool {}: {}", site_.settings.pool, reply.error().message);
  not_before_ = boot_ms() + kRetryStep.count();
  unknown_in_ = follower_.begun();
  follower_.read_now();
}

}  // namespace tfo::rotation
