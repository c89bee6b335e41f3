// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/acknowledgement.h"

#include <algorithm>
#include <utility>

#include "loader/etcd/kv.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

constexpr int64_t kBetween = 1'000;  // ms
constexpr milliseconds kRetry{500};
constexpr int kForeign = 3;                   // reads
constexpr int kAlone = 8;                     // polls
constexpr milliseconds kClockLasts{240'000};  // and up to half of that more

/// As far as it is worth writing again.
bool same(const Ack& a, Ack b) {
  b.clock = a.clock;
  b.sequence = a.sequence;
  return a == b;
}

bool same_but_listeners(const Ack& a, Ack b) {
  b.listeners = a.listeners;
  return same(a, std::move(b));
}

}  // namespace

Result<> Acknowledgement::start() {
  auto timer = site_.loop.timer([this] { pump(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  return {};
}

void Acknowledgement::confirm(const Applied& applied) {
  // The same counter and another hash: a fork of which the other one was adopted.
  const bool other =
      !applied_ || applied_->counter != applied.counter || applied_->hash != applied.hash;
  applied_ = applied;
  if (other) held_.reset();
  if (!held_ && site_.document && applied.counter == site_.document->counter &&
      applied.hash == site_.hash) {
    held_ = {applied.counter, site_.hash, site_.now()};
  }
  pump();
}

std::optional<Ack> Acknowledgement::wanted() const {
  if (!membership_.joined() || !applied_ || !held_ || !site_.document) return std::nullopt;
  // The same counter and other content: a fork that was settled.
  if (held_->counter == site_.document->counter && held_->hash != site_.hash) return std::nullopt;
  Ack ack;
  ack.node = site_.settings.node;
  ack.counter = held_->counter;
  ack.hash = held_->hash;
  ack.since = held_->since;
  ack.partial = applied_->partial;
  ack.renews = applied_->renews;
  ack.listeners = applied_->listeners;
  ack.balancer = site_.settings.balancer;
  ack.server = site_.settings.server;
  ack.boot_id = site_.clock.now().boot_id;
  ack.instance = site_.instance;
  ack.opens = site_.farm_key().numbers();
  return ack;
}

/// boot_ms() from which it may be written.
int64_t Acknowledgement::due(const Ack& ack) const {
  if (!written_ || written_->counter != ack.counter) return 0;
  if (same(*written_, ack)) return clock_due_;
  if (same_but_listeners(*written_, ack)) {
    return std::min(clock_due_, listeners_at_ + site_.settings.between_listeners.count());
  }
  return written_at_ + kBetween;
}

void Acknowledgement::pump() {
  if (busy_) return;
  auto ack = wanted();
  if (!ack) return;
  const int64_t wait = due(*ack) - boot_ms();
  if (wait > 0) return timer_.start(milliseconds(wait));
  write(std::move(*ack));
}

void Acknowledgement::write(Ack ack) {
  ack.clock = site_.clock.now().unix_s;
  ack.sequence = ++sequence_;
  const auto sealed = site_.seal(site_.own(kAckPrefix), ack.counter, to_json(ack).dump());
  if (!sealed) return timer_.start(site_.poll());
  etcd::Compare member;
  member.key = site_.own_key(kMemberPrefix);
  member.target = etcd::Compare::Target::kCreate;
  member.relation = etcd::Compare::Relation::kGreater;
  etcd::Txn txn;
  txn.when = {std::move(member)};
  txn.then = {etcd::Put{site_.own_key(kAckPrefix), *sealed, 0}};
  busy_ = true;
  call_ = etcd::txn(*site_.client, txn,
                    [this, ack = std::move(ack), value = *sealed](const auto& reply) {
                      wrote(ack, value, reply);
                    });
}

void Acknowledgement::wrote(const Ack& ack, const std::string& value,
                            const etcd::Outcome<etcd::TxnReply>& reply) {
  busy_ = false;
  // Written again whether or not it was done: it says the same.
  if (!reply) return timer_.start(kRetry + random_part(kRetry));
  if (!reply->succeeded) {
    timer_.start(kRetry + random_part(kRetry));
    return follower_.read_now();  // we are no member any more
  }
  if (!written_ || written_->listeners != ack.listeners) listeners_at_ = boot_ms();
  written_ = ack;
  written_value_ = value;
  written_at_ = boot_ms();
  clock_due_ = written_at_ + (kClockLasts + random_part(kClockLasts / 2)).count();
  written_in_ = follower_.begun();
  const bool before = std::exchange(given_, given_ || ack.partial.empty());
  if (!before && given_) changed_();
  pump();
}

/// All of a farm see a new leader within one poll; so that not even a part of them writes at once:
void Acknowledgement::look_for_leader(const Reading& reading) {
  if (!reading.leader || reading.leader->create_revision == leader_) return;
  leader_ = reading.leader->create_revision;
  clock_due_ = std::min(clock_due_, boot_ms() + random_part(site_.poll() / 4).count());
}

/// Our own predecessor can have written once after us; another one that runs does so again.
void Acknowledgement::look_for_twin(const std::string& value) {
  const auto opened = site_.open(site_.own(kAckPrefix), value);
  if (!opened) return;
  const auto ack =
      ack_from(nlohmann::json::parse(opened->text.begin(), opened->text.end(), nullptr, false));
  if (!ack || ack->instance.empty() || ack->instance == site_.instance) return;
  // Or somebody puts back what our predecessor wrote.
  if (foreigners_.look(*ack) != AckOrder::Age::kNew) return;
  foreign_at_ = boot_ms();
  if (++foreign_ < kForeign) return;
  const bool here = ack->boot_id == site_.clock.now().boot_id;
  site_.troubles.raise(kNameTaken, "another tfod " +
                                       std::string(here ? "on this host" : "on another host") +
                                       " runs under the name " + site_.settings.node +
                                       " too: give each node its own farm.node");
}

void Acknowledgement::take(const Reading& reading) {
  look_for_leader(reading);
  if (written_ && reading.number > written_in_ &&
      (!reading.ack || reading.ack->value != written_value_)) {
    if (reading.ack) look_for_twin(reading.ack->value);
    written_.reset();
  } else if (foreign_ > 0 && boot_ms() - foreign_at_ > kAlone * site_.poll().count()) {
    foreign_ = 0;
    site_.troubles.clear(kNameTaken);
  }
  pump();
}

void Acknowledgement::forget() {
  written_.reset();
  given_ = false;
}

void Acknowledgement::end() {
  busy_ = true;  // for good
  given_ = false;
  call_.reset();
  timer_.stop();
}

}  // namespace tfo::rotation
