// SPDX-License-Identifier: BSD-2-Clause
#include "loader/guard/handshake_ring.h"

#include <algorithm>

#include "bpf/load.h"

namespace tfo {
namespace {

/// From the earlier bucket to the later one.
uint32_t distance(uint32_t earlier, uint32_t later) { return (later - earlier) & TFO_EPOCH_MASK; }

}  // namespace

HandshakeRing handshake_ring(tfo_guard_head head, tfo_guard_row row, uint64_t now_ns) {
  HandshakeRing ring{.bucket = tfo_bucket(now_ns)};
  const uint32_t patient =
      tfo_bucket(now_ns - std::min(now_ns, uint64_t{HandshakeRing::kPatience}));
  ring.settled_for = distance(patient, ring.bucket) + 1;
  bool in_use = (head.epoch & TFO_HEAD_RING) != 0;
  if ((head.epoch & TFO_EPOCH_MASK) != ring.bucket) {
    tfo_brought_up up{};
    tfo_load_bring_up(&head, &row, in_use ? 1 : 0, head.epoch & TFO_EPOCH_MASK, ring.bucket, &up);
    in_use = true;
  }
  if (!in_use) tfo_clear_ring(&row);
  row.opened[ring.bucket & (TFO_BUCKETS - 1)] = head.opened - head.mark;
  for (uint32_t i = 0; i < TFO_BUCKETS; ++i) {
    HandshakeRing::Bucket& one = ring.age.at((ring.bucket - i) & (TFO_BUCKETS - 1));
    one.opened = row.opened[i];
    one.unanswered = tfo_not_below_zero(row.opened[i] - row.settled[i]);
    one.reset = row.reset[i];
  }
  return ring;
}

void FailedHandshakes::look(const HandshakeRing& ring) {
  if (!next_) {
    next_ = ring.bucket - kLookBack;
    return;
  }
  const uint32_t past = std::min<uint32_t>(distance(*next_, ring.bucket), TFO_BUCKETS - 1);
  // A clock that stood still, or another set of maps.
  if (distance(*next_, ring.bucket) > TFO_EPOCH_MASK / 2) return;
  for (uint32_t age = past; age >= ring.settled_for && age > 0; --age) {
    const HandshakeRing::Bucket& one = ring.age.at(age);
    opened_ += one.opened;
    unanswered_ += one.unanswered;
    reset_ += one.reset;
    next_ = ring.bucket - age + 1;
  }
}

}  // namespace tfo
