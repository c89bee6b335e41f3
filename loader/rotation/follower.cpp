// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "loader/log.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

etcd::Range one(std::string key) {
  etcd::Range range;
  range.key = std::move(key);
  return range;
}

std::optional<etcd::KeyValue> found(const etcd::TxnReply& reply, size_t index) {
  if (index >= reply.replies.size()) return std::nullopt;
  const auto* range = std::get_if<etcd::RangeReply>(&reply.replies[index]);
  if (range == nullptr || range->kvs.empty()) return std::nullopt;
  return range->kvs.front();
}

/// So many tell well enough where a farm stands.
constexpr int64_t kMostAcks = 256;

enum Place : size_t { kRingAt, kMemberAt, kAckAt, kLeaderAt, kLiveAt, kReportsAt, kAllAcksAt };

}  // namespace

Result<> Follower::start() {
  auto timer = site_.loop.timer([this] { read_now(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  auto repair_timer = site_.loop.timer([this] { repair(); });
  if (!repair_timer) return tl::unexpected(repair_timer.error());
  repair_timer_ = std::move(*repair_timer);
  heard_at_ = boot_ms();
  timer_.start(milliseconds(0));
  return {};
}

bool Follower::confirmed() const {
  return confirmed_boot_s_ && boot_ms() - confirmed_ms_ < site_.confirm_window().count();
}

void Follower::read_now() {
  if (reading_) {
    again_ = true;
    return;
  }
  reading_ = true;
  again_ = false;
  number_++;
  begun_ms_ = boot_ms();
  begun_boot_s_ = site_.clock.now().boot_s;
  floor_ = revision_;
  etcd::Txn txn;
  txn.then = {one(site_.key(kRing)),           one(site_.own_key(kMemberPrefix)),
              one(site_.own_key(kAckPrefix)),  one(site_.key(kLeader)),
              one(site_.own_key(kLivePrefix)), one(site_.key(kReports))};
  if (!site_.document) {
    etcd::Range acks = one(site_.key(kAckPrefix));
    acks.range_end = etcd::prefix_end(acks.key);
    acks.limit = kMostAcks;
    txn.then.emplace_back(std::move(acks));
  }
  read_call_ = etcd::txn(*site_.client, txn, [this](auto reply) { answered(std::move(reply)); });
}

void Follower::answered(etcd::Outcome<etcd::TxnReply> reply) {
  reading_ = false;
  // Never in step with other nodes.
  timer_.start(site_.poll() - random_part(site_.poll() / 8));
  if (reply) {
    connected_ = true;
    heard_at_ = boot_ms();
    site_.troubles.clear(kStoreUnreachable);
    took(*reply);
  } else {
    connected_ = false;
    site_.troubles.raise(kStoreUnreachable, reply.error().message);
    hooks_.changed();
  }
  if (again_) read_now();
}

void Follower::took(const etcd::TxnReply& reply) {
  check_continuity(reply);
  // A watch or a write of ours was faster than this read: what it says is old.
  if (reply.header.revision < revision_) return read_now();
  check_acks(reply);
  if (site_.reload_farm_key()) revision_ = 0;
  const auto ring = found(reply, kRingAt);
  take(ring ? std::optional(ring->value) : std::nullopt, reply.header.revision);
  if (in_step()) {
    confirmed_ms_ = begun_ms_;
    confirmed_boot_s_ = begun_boot_s_;
  }
  if (!watch_) watch_from(reply.header.revision + 1);
  hooks_.reading({number_, reply.header.revision, in_step(), found(reply, kMemberAt),
                  found(reply, kAckAt), found(reply, kLeaderAt), found(reply, kLiveAt),
                  found(reply, kReportsAt)});
  hooks_.changed();
}

void Follower::check_continuity(const etcd::TxnReply& reply) {
  // What a watch told of before the read was begun counts as well.
  const int64_t floor = std::max(floor_, reply.continuity.rolled_back_from.value_or(0));
  if (!reply.continuity.other_cluster && reply.header.revision >= floor) return;
  watch_.reset();
  revision_ = 0;
  const std::string what =
      reply.continuity.other_cluster
          ? std::string("this is another etcd cluster than before")
          : fmt::format("etcd's revision fell from {} to {}: it was restored from a backup", floor,
                        reply.header.revision);
  log_warning("pool {}: {}; joining and acknowledging anew", site_.settings.pool, what);
  site_.troubles.raise(kStoreRolledBack, what);
  hooks_.rolled_back();
}

/// Whoever writes etcd can show a node without a memory yesterday's document; the acknowledgements
/// of the others tell.
void Follower::check_acks(const etcd::TxnReply& reply) {
  if (reply.replies.size() <= kAllAcksAt) return;
  const auto* acks = std::get_if<etcd::RangeReply>(&reply.replies[kAllAcksAt]);
  if (acks == nullptr) return;
  highest_ack_ = {};
  const std::string prefix = site_.key("");
  for (const auto& kv : acks->kvs) {
    const auto opened = site_.open(kv.key.substr(prefix.size()), kv.value);
    if (opened) highest_ack_ = std::max(highest_ack_, opened->counter);
  }
}

void Follower::watch_from(int64_t revision) {
  auto watch = etcd::Watch::open(*site_.client, {site_.key(kRing), "", revision},
                                 [this](const etcd::WatchNotice& notice) { noticed(notice); });
  if (watch) watch_ = std::move(*watch);
}

void Follower::noticed(const etcd::WatchNotice& notice) {
  using Kind = etcd::WatchNotice::Kind;
  if (notice.kind == Kind::kEvents) {
    for (const auto& event : notice.events) {
      if (event.kv.mod_revision <= revision_) continue;
      take(event.deleted ? std::nullopt : std::optional(event.kv.value), event.kv.mod_revision);
    }
    return;
  }
  if (notice.ended()) watch_.reset();
  if (notice.ended() || notice.behind || notice.kind == Kind::kInterrupted) read_now();
}

void Follower::take(const std::optional<std::string>& value, int64_t revision) {
  revision_ = std::max(revision_, revision);
  const bool same = value_ == value;
  value_ = value;
  if (in_step()) {
    repair_.reset();
    for (const char* id : {kStoreRefused, kStoreRolledBack, kFork}) site_.troubles.settle(id);
    if (std::exchange(lacks_line_, false)) site_.troubles.clear(kFarmKeyMissing);
    return;
  }
  if (same && repair_) return;
  repair_.reset();
  weigh();
}

void Follower::weigh() {
  if (!value_) return missing();
  const std::string value = *value_;
  const auto opened = site_.open(kRing, value);
  if (!opened) return refuse(value, opened.error().message);
  auto read = decode_document(opened->text);
  // Genuine, but not for this release: it must not be replaced either.
  if (!read)
    return site_.troubles.raise(kStoreRefused, std::string(kRing) + ": " + read.error().message);
  if (read->counter != opened->counter || read->min_key > opened->key) {
    return refuse(value, "ring: what is sealed in it is not what it says it is");
  }
  if (!site_.document && read->counter < highest_ack_) {
    lower_ = {value, *read};
    return site_.troubles.raise(
        kStoreRefused,
        fmt::format("ring: {} is older than {}, which another node has acknowledged: wait for "
                    "that node, or take it by `tfoctl farm adopt`",
                    read->counter.text(), highest_ack_.text()));
  }
  weigh(value, *read);
}

void Follower::weigh(const std::string& value, const Document& read) {
  switch (judge(site_.document, read)) {
    case Verdict::kFollow:
    case Verdict::kSame:
      return follow(value, read);
    case Verdict::kFork:
      lower_ = {value, read};
      return unite_with(value, read);
    case Verdict::kPutBack:
      lower_ = {value, read};
      return put_back(fmt::format("etcd's document {} is older than ours, {}", read.counter.text(),
                                  site_.known().counter.text()));
  }
}

void Follower::missing() {
  if (site_.document) return put_back("etcd has no document any more");
  site_.troubles.raise(kStoreRefused,
                       fmt::format("there is no document of pool {} in farm {}: run `tfoctl farm "
                                   "init` on one node",
                                   site_.settings.pool, site_.settings.farm));
}

void Follower::refuse(const std::string& value, const std::string& why) {
  if (site_.lacks_line_of(value)) {
    lacks_line_ = true;
    site_.troubles.raise(kFarmKeyMissing, why);
    return;
  }
  const bool was = site_.troubles.raised(kStoreRefused);
  site_.troubles.raise(kStoreRefused, why);
  if (!was) log_error("pool {}: a value in etcd is not genuine: {}", site_.settings.pool, why);
  if (site_.document) repair_soon(site_.remembered.sealed);
}

void Follower::follow(const std::string& value, const Document& read) {
  const bool other = !site_.document || site_.known().counter != read.counter;
  if (!site_.document) site_.troubles.clear(kStoreRefused);
  if (!site_.keep(read, value)) return;
  for (const char* id : {kStoreRefused, kStoreRolledBack, kFork}) site_.troubles.settle(id);
  site_.troubles.clear(kFarmKeyMissing);
  lower_.reset();
  if (other) hooks_.document();
}

void Follower::unite_with(const std::string& value, const Document& read) {
  const Document united = unite(site_.known(), read, site_.now(), site_.settings.node);
  site_.troubles.raise(kFork, fmt::format("two documents {}: {} here, {} in etcd",
                                          read.counter.text(), site_.hash, hash_of(read)));
  const auto sealed = site_.seal(kRing, united.counter, encode(united), united.min_key);
  if (!sealed || united.counter <= read.counter) return;
  log_error("pool {}: two documents {}; they are united", site_.settings.pool, read.counter.text());
  value_ = value;
  repair_soon(*sealed);
}

void Follower::put_back(const std::string& why) {
  log_warning("pool {}: {}; putting ours back", site_.settings.pool, why);
  site_.troubles.raise(kStoreRolledBack, why + "; ours is put back");
  repair_soon(site_.remembered.sealed);
}

void Follower::repair_soon(std::string with) {
  repair_ = {value_, std::move(with)};
  repair_timer_.start(random_part(milliseconds(1000)));
}

void Follower::repair() {
  if (!repair_ || repair_->over != value_) return;
  const std::string ring = site_.key(kRing);
  etcd::Txn txn;
  txn.when = {repair_->over ? etcd::value_is(ring, *repair_->over) : etcd::absent(ring)};
  txn.then = {etcd::Put{ring, repair_->value, 0}};
  const std::string written = repair_->value;
  repair_.reset();
  repair_call_ = etcd::txn(*site_.client, txn, [this, written](auto reply) {
    if (reply && reply->succeeded) {
      for (const char* id : {kStoreRefused, kStoreRolledBack}) site_.troubles.settle(id);
      take(written, reply->header.revision);
    }
    // Done or not: what is there now decides.
    read_now();
  });
}

Result<nlohmann::json> Follower::adopt() {
  if (!lower_)
    return fail("etcd holds no document that is lower than this node's: nothing to adopt");
  const Lower lower = *lower_;
  const auto named = [](const Counter& counter, const std::string& hash) {
    return nlohmann::json{{"counter", counter.text()}, {"hash", hash}};
  };
  nlohmann::json answer = {{"adopted", named(lower.document.counter, hash_of(lower.document))},
                           {"given_up", nullptr}};
  if (site_.document) answer["given_up"] = named(site_.known().counter, site_.hash);
  if (auto kept = site_.keep(lower.document, lower.value); !kept) {
    return tl::unexpected(kept.error());
  }
  lower_.reset();
  highest_ack_ = {};
  if (value_ != lower.value) repair_soon(lower.value);
  hooks_.document();
  read_now();
  return answer;
}

}  // namespace tfo::rotation
