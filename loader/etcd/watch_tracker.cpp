// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/watch_tracker.h"

#include <algorithm>
#include <utility>

namespace tfo::etcd {
namespace {

using Kind = WatchNotice::Kind;

WatchNotice notice(Kind kind, std::string text) {
  WatchNotice made;
  made.kind = kind;
  made.text = std::move(text);
  return made;
}

}  // namespace

void WatchTracker::reopened() {
  pending_.clear();
  pending_bytes_ = 0;
  seen_ = 0;
}

WatchNotice WatchTracker::canceled(const WatchMessage& message) const {
  const std::string reason = printable(message.cancel_reason);
  if (message.compact_revision > 0) {
    WatchNotice made =
        notice(Kind::kCompacted, "revision " + std::to_string(next_) + " was compacted away (" +
                                     std::to_string(message.compact_revision) +
                                     " is the oldest that is left): read, and watch from there");
    made.compact_revision = message.compact_revision;
    return made;
  }
  // rpctypes.ErrPermissionDenied; etcd says the same of a token that it does not know.
  const bool denied = reason.find("PermissionDenied") != std::string::npos ||
                      reason.find("permission denied") != std::string::npos ||
                      reason.find("auth token") != std::string::npos;
  if (denied) {
    return notice(
        Kind::kDenied,
        "etcd does not let farm.etcd.user watch this range: grant it a role that reads it");
  }
  return notice(Kind::kInterrupted, "etcd cancelled the watch: " + reason);
}

WatchNotice WatchTracker::failed(const GrpcStatus& status) const {
  const Fault fault = status_fault({}, status);
  if (fault.kind == FaultKind::kDenied || fault.kind == FaultKind::kAuthentication) {
    return notice(Kind::kDenied, printable(status.message));
  }
  if (fault.kind == FaultKind::kCompacted) {
    return notice(Kind::kCompacted, printable(status.message));
  }
  return notice(Kind::kInterrupted, printable(status.message));
}

bool WatchTracker::behind(const Header& header) {
  const bool lower = header.revision < next_ - 1 || header.revision < seen_;
  seen_ = std::max(seen_, header.revision);
  return lower;
}

void WatchTracker::keep(WatchMessage& message) {
  for (WatchEvent& event : message.events) {
    if (event.kv.mod_revision < next_) continue;
    pending_bytes_ += sizeof(event) + event.kv.key.size() + event.kv.value.size();
    pending_.push_back(std::move(event));
  }
}

WatchNotice WatchTracker::events(const Header& header) {
  WatchNotice made = notice(Kind::kEvents, "");
  made.header = header;
  made.events = std::exchange(pending_, {});
  pending_bytes_ = 0;
  for (const WatchEvent& event : made.events) {
    next_ = std::max(next_, event.kv.mod_revision + 1);
  }
  seen_ = std::max(seen_, next_ - 1);
  return made;
}

std::vector<WatchNotice> WatchTracker::take(WatchMessage message) {
  if (message.error) return {failed(*message.error)};
  if (message.canceled) return {canceled(message)};
  std::vector<WatchNotice> notices;
  const bool plain = message.events.empty() && !message.fragment;
  if (message.created || (plain && pending_.empty())) {
    WatchNotice made = notice(message.created ? Kind::kCreated : Kind::kProgress, "");
    made.header = message.header;
    made.behind = behind(message.header);
    notices.push_back(std::move(made));
  }
  keep(message);
  if (pending_bytes_ > limit_) {
    notices.push_back(notice(Kind::kTooLarge,
                             "events larger than this client takes: read, and watch from there"));
  } else if (!message.fragment && !pending_.empty() && message.watch_id >= 0) {
    notices.push_back(events(message.header));
  }
  return notices;
}

}  // namespace tfo::etcd
