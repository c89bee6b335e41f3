// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/refused.h"

#include <algorithm>

namespace tfo {
namespace {

void add(RefusedClients::Count& to, const RefusedClients::Count& what) {
  to.syns += what.syns;
  to.with_data += what.with_data;
}

}  // namespace

std::string_view refusal(tfo_reason reason) {
  switch (reason) {
    case TFO_COOKIE_RETIRED:
      return "older than the two keys that the servers hold";
    case TFO_COOKIE_REVOKED:
      return "its key was revoked";
    case TFO_COOKIE_INVALID:
      return "no key made it: too old, forged, or another farm's";
    case TFO_COOKIE_LENGTH:
      return "not the 8 bytes that Linux mints";
    case TFO_OPTION_IGNORED:
      return "of illegal length, the servers ignore it";
    case TFO_DATA_NO_OPTION:
      return "no Fast Open option, the servers ignore the data";
    default:
      return {};
  }
}

Result<> RefusedClients::take(const ReplayedFrame& frame) {
  if (frame.skipped || refusal(frame.judgement.reason).empty()) return {};
  const Count one{1, frame.judgement.data ? 1U : 0U};
  add(total_, one);
  const auto flow = flow_of(*frame.ethernet, describe(*frame.ethernet, *frame.config));
  if (!flow) return fail("frame " + std::to_string(frame.captured.number) + ": a SYN without IP");
  const Client client{flow->family, flow->source, frame.judgement.slot, frame.judgement.reason};
  if (counts_.size() >= capacity_ && !counts_.contains(client)) make_room();
  add(counts_[client], one);
  return {};
}

/// Raises the floor until at least a row in two is gone, so that this is rare.
void RefusedClients::make_room() {
  while (counts_.size() > capacity_ / 2) {
    floor_++;
    std::erase_if(counts_, [this](const auto& row) {
      if (row.second.syns > floor_) return false;
      add(given_up_, row.second);
      return true;
    });
  }
}

std::vector<RefusedClients::Row> RefusedClients::largest(size_t most) const {
  std::vector<Row> rows;
  rows.reserve(counts_.size());
  for (const auto& [client, count] : counts_) rows.push_back({client, count});
  most = std::min(most, rows.size());
  const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(most);
  std::partial_sort(rows.begin(), middle, rows.end(), [](const Row& a, const Row& b) {
    return a.count.syns != b.count.syns ? a.count.syns > b.count.syns : a.client < b.client;
  });
  rows.resize(most);
  return rows;
}

}  // namespace tfo
