// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_first.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "loader/rotation/answer.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/records.h"

namespace tfo {

using rotation::Document;
using rotation::FarmKey;
using rotation::Sealer;

namespace {

constexpr int64_t kClocksDiffer = 86400;  // s, at most
constexpr int kTries = 3;                 // of a write whose outcome is not known

std::string ring_key(const FarmPlan& plan) {
  return rotation::pool_prefix(plan.farm.name, plan.pool) + rotation::kRing;
}

/// Fills in counter and hash as far as `key` opens it.
void open_found(FoundDocument& found, const FarmPlan& plan, const FarmKey* key) {
  found.counter = Sealer::claimed_counter(found.value).value_or(rotation::Counter());
  if (key == nullptr) {
    found.why_not = fmt::format("there is no {}", plan.farm.key_file);
    return;
  }
  const auto opened = Sealer(plan.farm.name, plan.pool).open(*key, 0, rotation::kRing, found.value);
  const auto document = opened ? rotation::decode_document(opened->text)
                               : Result<Document>(tl::unexpected<Error>(opened.error()));
  if (!document) {
    found.why_not = document.error().message;
    return;
  }
  found.counter = document->counter;
  found.hash = rotation::hash_of(*document);
}

etcd::Txn first_write(const FarmPlan& plan, const std::string& value,
                      const std::optional<FoundDocument>& before) {
  const std::string ring = ring_key(plan);
  etcd::Txn txn;
  txn.when.push_back(before ? etcd::value_is(ring, before->value) : etcd::absent(ring));
  txn.then.emplace_back(etcd::Put{ring, value, 0});
  if (before && before->hash.empty()) {
    const std::string prefix = rotation::pool_prefix(plan.farm.name, plan.pool);
    for (const char* records :
         {rotation::kMemberPrefix, rotation::kAckPrefix, rotation::kLeftPrefix,
          rotation::kRequestPrefix, rotation::kAnswerPrefix, rotation::kReports}) {
      txn.then.emplace_back(etcd::Delete{prefix + records, etcd::prefix_end(prefix + records)});
    }
  }
  etcd::Range read;
  read.key = ring;
  txn.otherwise.emplace_back(read);
  return txn;
}

/// The value that the branch for a comparison that failed has read.
std::string value_read(const etcd::TxnReply& reply) {
  for (const etcd::OperationReply& one : reply.replies) {
    const auto* range = std::get_if<etcd::RangeReply>(&one);
    if (range != nullptr && !range->kvs.empty()) return range->kvs.front().value;
  }
  return {};
}

}  // namespace

std::string FoundDocument::words() const {
  return fmt::format("{} ({})", counter.text(),
                     hash.empty() ? "as it says itself: " + why_not : "hash " + hash);
}

Result<std::optional<FoundDocument>> find_document(FarmEtcd& etcd, const FarmPlan& plan,
                                                   const FarmKey* key) {
  const auto reply = etcd.read(ring_key(plan));
  if (!reply) return fail(reply.error().message);
  if (reply->kvs.empty()) return std::optional<FoundDocument>();
  FoundDocument found;
  found.value = reply->kvs.front().value;
  open_found(found, plan, key);
  return std::optional<FoundDocument>(std::move(found));
}

Result<Document> make_first(const FarmPlan& plan, const FarmKey& key, const std::vector<Key>& keys,
                            const std::optional<FoundDocument>& before) {
  const rotation::Machine machine(plan.policy, plan.farm.node);
  auto document = machine.first(plan.farm.name, plan.pool, std::time(nullptr), key.newest(), keys);
  if (!document || !before) return document;
  // What did not open may have been put there by anybody: a counter of its own choosing would lift
  // the farm's out of all proportion, for good. A farm's own is the time at which it was made.
  const int64_t now = document->counter.incarnation;
  const bool believed = !before->hash.empty() || before->counter.incarnation <= now + kClocksDiffer;
  if (believed) document->counter.incarnation = std::max(now, before->counter.incarnation + 1);
  for (rotation::Event& event : document->events) event.counter = document->counter;
  return document;
}

Result<> write_first(FarmEtcd& etcd, const FarmPlan& plan, const FarmKey& key,
                     const Document& document, const std::optional<FoundDocument>& before) {
  const std::string value =
      Sealer(plan.farm.name, plan.pool)
          .seal(key, key.newest(), rotation::kRing, document.counter, rotation::encode(document));
  const etcd::Txn write = first_write(plan, value, before);
  std::string last;
  for (int i = 0; i < kTries; i++) {
    const auto reply = etcd.txn(write);
    // An earlier try may have done it.
    if (reply && (reply->succeeded || value_read(*reply) == value)) return {};
    if (reply) {
      return fail(fmt::format("somebody else has just written the document of pool {}; look again",
                              plan.pool));
    }
    if (!etcd::outcome_unknown(reply.error())) return fail(reply.error().message);
    last = reply.error().message;
  }
  return fail(
      fmt::format("{}. Whether document {} (hash {}) was written is not known; `tfoctl "
                  "farm init` says so once etcd answers",
                  last, document.counter.text(), rotation::hash_of(document)));
}

}  // namespace tfo
