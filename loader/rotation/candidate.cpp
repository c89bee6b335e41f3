// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/candidate.h"

#include <utility>

#include "loader/etcd/kv.h"
#include "loader/log.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kMostWait{1000};
constexpr int64_t kAfterResigning = 60'000;  // ms

}  // namespace

Result<> Candidate::start() {
  auto timer = site_.loop.timer([this] { campaign(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  return {};
}

bool Candidate::eligible() const {
  return !leading() && !busy_ && presence_.lease() != 0 && membership_.joined() &&
         boot_ms() >= not_before_ && !site_.troubles.raised(kStateUnsaved) &&
         !site_.troubles.raised(kFarmKeyMissing);
}

void Candidate::take(const Reading& reading) {
  leader_ = reading.leader ? reading.leader->value : "";
  // Not sealed: anything may stand there, and it is told.
  if (!check_name(leader_, "leader")) leader_.clear();
  const int64_t found = reading.leader ? reading.leader->create_revision : 0;
  if (leading()) {
    if (found != create_revision_ && reading.revision >= create_revision_) step_down();
    return;
  }
  if (reading.leader) {
    timer_.stop();
    waiting_ = false;
    // A campaign whose outcome was not known.
    if (presence_.lease() != 0 && reading.leader->lease == presence_.lease() && eligible()) {
      won(found);
    }
    return;
  }
  if (!eligible() || waiting_) return;
  waiting_ = true;
  timer_.start(random_part(kMostWait));
}

void Candidate::campaign() {
  waiting_ = false;
  if (!eligible() || !follower_.confirmed()) return;
  const std::string key = site_.key(kLeader);
  etcd::Txn txn;
  txn.when = {etcd::absent(key)};
  txn.then = {etcd::Put{key, site_.settings.node, presence_.lease()}};
  busy_ = true;
  call_ = etcd::txn(*site_.client, txn, [this](const auto& reply) {
    busy_ = false;
    if (reply && reply->succeeded) return won(reply->header.revision);
    follower_.read_now();
  });
}

void Candidate::won(int64_t create_revision) {
  create_revision_ = create_revision;
  leader_ = site_.settings.node;
  log_info("pool {}: this node leads the rotation of farm {}", site_.settings.pool,
           site_.settings.farm);
  hooks_.won(create_revision);
}

void Candidate::step_down() {
  timer_.stop();
  waiting_ = false;
  if (!leading()) return;
  create_revision_ = 0;
  log_info("pool {}: this node does not lead any more", site_.settings.pool);
  hooks_.lost();
}

void Candidate::resign() {
  if (!leading()) return;
  const std::string key = site_.key(kLeader);
  etcd::Compare ours;
  ours.key = key;
  ours.target = etcd::Compare::Target::kCreate;
  ours.number = create_revision_;
  etcd::Txn txn;
  txn.when = {std::move(ours)};
  txn.then = {etcd::Delete{key, ""}};
  not_before_ = boot_ms() + kAfterResigning;
  step_down();
  resign_call_ = etcd::txn(*site_.client, txn, [](const auto&) {});
}

}  // namespace tfo::rotation
