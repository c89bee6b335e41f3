// SPDX-License-Identifier: BSD-2-Clause
// What the keeper counts of handshakes that came to nothing.
#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "loader/dataplane/dataplane.h"
#include "loader/guard/keeper.h"

namespace tfo {
namespace {

using Name = std::pair<std::string, std::string>;  // VIP and network

struct Failing {
  Name name;
  HandshakeRing ring;
  uint64_t failed = 0;  // all that the ring holds
};

uint64_t failed_in(const HandshakeRing& ring) {
  uint64_t sum = 0;
  for (uint32_t age = ring.settled_for; age < ring.age.size(); ++age) {
    sum += uint64_t{ring.age.at(age).unanswered} + ring.age.at(age).reset;
  }
  return sum;
}

std::vector<Failing> failing_networks(const Dataplane& dataplane) {
  std::vector<Failing> all;
  for (const NetworkHandshakes& one : dataplane.guard().network_rings()) {
    const uint64_t failed = failed_in(one.ring);
    if (failed < GuardKeeper::kFailing) continue;
    all.push_back({.name = {dataplane.vip_of(one.slot), network_text(one.network)},
                   .ring = one.ring,
                   .failed = failed});
  }
  return all;
}

HandshakeCounts counts_of(const FailedHandshakes& failed) {
  return {.opened = failed.opened(), .unanswered = failed.unanswered(), .reset = failed.reset()};
}

}  // namespace

/// Whoever is counted stays until he is calm: one who came and went would begin at 0 each time.
void GuardKeeper::count_failed(const Dataplane& dataplane) {
  std::map<std::string, FailedHandshakes> vips;
  for (GuardVipView& view : view_) {
    const auto slot = dataplane.slot_of(view.vip);
    if (!view.on || !slot) continue;
    FailedHandshakes& counted = vips.emplace(view.vip, failed_[view.vip]).first->second;
    counted.look(dataplane.guard().vip_ring(*slot));
    view.handshakes = counts_of(counted);
  }
  failed_ = std::move(vips);
  std::vector<Failing> now = failing_networks(dataplane);
  std::ranges::stable_sort(now, [&](const Failing& a, const Failing& b) {
    const bool known_a = failing_.contains(a.name);
    const bool known_b = failing_.contains(b.name);
    return known_a != known_b ? known_a : a.failed > b.failed;
  });
  if (now.size() > kMostFailing) now.resize(kMostFailing);
  std::map<Name, FailedHandshakes> networks;
  for (const Failing& one : now) {
    const bool fresh = !failing_.contains(one.name);
    FailedHandshakes& counted = networks.emplace(one.name, failing_[one.name]).first->second;
    counted.look(one.ring);
    if (fresh) counted.look(one.ring);  // the last minute
    const auto vip = std::ranges::find(view_, one.name.first, &GuardVipView::vip);
    if (vip == view_.end() || !vip->on) continue;
    vip->networks.push_back(
        {.network = one.name.second, .handshakes = counts_of(counted), .fresh = fresh});
  }
  failing_ = std::move(networks);
}

}  // namespace tfo
