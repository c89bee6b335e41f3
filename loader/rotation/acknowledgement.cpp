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

/// As far as it is worth writing again.
bool same(const Ack& a, Ack b) {
  b.clock = a.clock;
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
  const bool other = !applied_ || applied_->counter != applied.counter;
  applied_ = applied;
  if (other || !held_) held_.reset();
  if (!held_ && site_.document && applied.counter == site_.document->counter) {
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
  ack.opens = site_.farm_key().numbers();
  return ack;
}

/// boot_ms() from which it may be written.
int64_t Acknowledgement::due(const Ack& ack) const {
  if (!written_ || written_->counter != ack.counter) return 0;
  if (same_but_listeners(*written_, ack)) {
    return listeners_at_ + site_.settings.between_listeners.count();
  }
  return written_at_ + kBetween;
}

void Acknowledgement::pump() {
  if (busy_) return;
  auto ack = wanted();
  if (!ack || (written_ && same(*written_, *ack))) return;
  const int64_t wait = due(*ack) - boot_ms();
  if (wait > 0) return timer_.start(milliseconds(wait));
  write(std::move(*ack));
}

void Acknowledgement::write(Ack ack) {
  ack.clock = site_.clock.now().unix_s;
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
  written_in_ = follower_.begun();
  const bool before = std::exchange(given_, given_ || ack.partial.empty());
  if (!before && given_) changed_();
  pump();
}

void Acknowledgement::take(const Reading& reading) {
  if (written_ && reading.number > written_in_ &&
      (!reading.ack || reading.ack->value != written_value_)) {
    written_.reset();
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
