// SPDX-License-Identifier: BSD-2-Clause
#include <chrono>

#include "loader/rotation/agent.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {
namespace {

std::string why_not(const Site& site, std::chrono::milliseconds patience) {
  for (const StoreTrouble& trouble : site.troubles.list()) {
    if (!trouble.evidence.empty()) return trouble.evidence;
  }
  return "etcd has not answered within " + std::to_string(patience.count()) + " ms";
}

}  // namespace

Result<> fetch_first(const Settings& settings, const Clock& clock,
                     std::chrono::milliseconds patience) {
  auto loop = EventLoop::create();
  if (!loop) return tl::unexpected(loop.error());
  auto site = Site::create(**loop, settings, clock, [] {});
  if (!site) return tl::unexpected(site.error());
  if ((*site)->document) return {};
  // A farm that has no document, or one that is refused, will not have another one soon.
  const auto tired = [&](const Reading&) {
    if (!(*site)->troubles.raised(kStateUnsaved)) (*loop)->quit(0);
  };
  Follower follower(**site, {.document = [&] { (*loop)->quit(0); },
                             .reading = tired,
                             .rolled_back = [] {},
                             .changed = [] {}});
  auto timer = (*loop)->timer([&] { (*loop)->quit(0); });
  if (!timer) return tl::unexpected(timer.error());
  timer->start(patience);
  if (auto started = follower.start(); !started) return started;
  (*loop)->run();
  if ((*site)->document) return {};
  return fail("pool " + settings.pool + ": " + why_not(**site, patience));
}

}  // namespace tfo::rotation
