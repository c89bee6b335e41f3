// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/fetch_first.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "loader/rotation/follower.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {
namespace {

class Fetch : public FirstFetch {
 public:
  Fetch(std::unique_ptr<Site> site, std::chrono::milliseconds patience, Done done)
      : site_(std::move(site)),
        patience_(patience),
        done_(std::move(done)),
        follower_(*site_, {.document = [this] { end(); },
                           .reading = [this](const Reading&) { read(); },
                           .rolled_back = [] {},
                           .changed = [] {}}) {}

  Result<> start() {
    auto timer = site_->loop.timer([this] { end(); });
    if (!timer) return tl::unexpected(timer.error());
    timer_ = std::move(*timer);
    const bool known = site_->document.has_value();
    timer_.start(known ? std::chrono::milliseconds(0) : patience_);
    return known ? Result<>() : follower_.start();
  }

 private:
  /// A farm that has no document, or one that is refused, will not have another one soon.
  void read() {
    if (!site_->troubles.raised(kStateUnsaved)) end();
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    timer_.stop();
    done_(site_->document ? Result<>() : fail("pool " + site_->settings.pool + ": " + why_not()));
  }

  std::string why_not() const {
    for (const StoreTrouble& trouble : site_->troubles.list()) {
      if (!trouble.evidence.empty()) return trouble.evidence;
    }
    return "etcd has not answered within " + std::to_string(patience_.count()) + " ms";
  }

  std::unique_ptr<Site> site_;
  std::chrono::milliseconds patience_;
  Done done_;
  Follower follower_;
  EventLoop::Source timer_;
  bool ended_ = false;
};

}  // namespace

std::string no_document(const Settings& settings, const std::string& why) {
  return fmt::format(
      "no keys yet: {} does not hold any, and etcd at {} gave none: {}; let etcd be reachable (see "
      "farm.etcd.endpoints), or make the farm with `tfoctl farm init` if there is none",
      settings.state_file, fmt::join(settings.etcd.endpoints, ", "), why);
}

Result<std::unique_ptr<FirstFetch>> FirstFetch::start(EventLoop& loop, const Settings& settings,
                                                      const Clock& clock,
                                                      std::chrono::milliseconds patience,
                                                      Done done) {
  auto site = Site::create(loop, settings, clock, [] {});
  if (!site) return tl::unexpected(site.error());
  auto fetch = std::make_unique<Fetch>(std::move(*site), patience, std::move(done));
  if (auto started = fetch->start(); !started) return tl::unexpected(started.error());
  return fetch;
}

Result<> fetch_first(const Settings& settings, const Clock& clock,
                     std::chrono::milliseconds patience) {
  auto loop = EventLoop::create();
  if (!loop) return tl::unexpected(loop.error());
  Result<> outcome;
  auto fetch = FirstFetch::start(**loop, settings, clock, patience, [&](Result<> done) {
    outcome = std::move(done);
    (*loop)->quit(0);
  });
  if (!fetch) return tl::unexpected(fetch.error());
  (*loop)->run();
  return outcome;
}

}  // namespace tfo::rotation
