// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/presence.h"

#include <sodium.h>

#include <utility>

#include "loader/etcd/kv.h"
#include "loader/log.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

constexpr int kFailedPrecondition = 9;  // gRPC: the lease is there already

int64_t random_lease() {
  uint64_t id = 0;
  while (id == 0) {
    randombytes_buf(&id, sizeof(id));
    id &= INT64_MAX;
  }
  return static_cast<int64_t>(id);
}

}  // namespace

Result<> Presence::start() {
  auto timer = site_.loop.timer([this] { beat(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  return {};
}

void Presence::take(const Reading& reading) {
  const bool there = reading.live && reading.live->lease == lease_;
  // Deleted by somebody while the lease lives, which would go on unnoticed.
  if (announced_ && !busy_ && !there && reading.number > announced_in_) return announce();
  if (reading.in_step && !announced_ && !busy_) beat();
}

void Presence::beat() {
  timer_.start(site_.ttl() / 3);
  if (busy_ || !follower_.confirmed()) return;
  if (!granted_) return grant();
  if (!announced_) return announce();
  keep_alive();
}

void Presence::grant() {
  busy_ = true;
  // The same id until it is known to be granted: an unknown outcome is asked for again.
  if (lease_ == 0) lease_ = random_lease();
  call_ = etcd::lease_grant(*site_.client, site_.settings.lease, lease_,
                            [this](const auto& outcome) { granted(outcome); });
}

void Presence::granted(const etcd::Outcome<etcd::Lease>& outcome) {
  busy_ = false;
  if (!outcome && outcome.error().code != kFailedPrecondition) return;
  granted_ = true;
  announce();
}

void Presence::announce() {
  busy_ = true;
  call_ = etcd::put(*site_.client, {site_.own_key(kLivePrefix), site_.settings.node, lease_},
                    [this](const auto& reply) {
                      busy_ = false;
                      if (reply) {
                        announced_in_ = follower_.begun();
                        if (!std::exchange(announced_, true)) changed_();
                        return;
                      }
                      if (reply.error().kind == etcd::FaultKind::kNotFound) lost();
                    });
}

void Presence::keep_alive() {
  busy_ = true;
  call_ = etcd::lease_keepalive(*site_.client, lease_, [this](const auto& outcome) {
    busy_ = false;
    if (!outcome || *outcome) return;
    log_warning("pool {}: etcd has ended this node's lease; taking another", site_.settings.pool);
    lost();
    beat();
  });
}

void Presence::lost() {
  lease_ = 0;
  granted_ = false;
  const bool had = std::exchange(announced_, false);
  if (had) changed_();
}

void Presence::renew() {
  if (lease_ != 0) revoke_call_ = etcd::lease_revoke(*site_.client, lease_, [](const auto&) {});
  call_.reset();
  busy_ = false;
  lost();
}

void Presence::end(std::function<void()> done) {
  timer_.stop();
  call_.reset();
  const int64_t lease = std::exchange(lease_, 0);
  granted_ = announced_ = false;
  busy_ = true;  // for good
  if (lease == 0) return done();
  revoke_call_ =
      etcd::lease_revoke(*site_.client, lease, [done = std::move(done)](const auto&) { done(); });
}

}  // namespace tfo::rotation
