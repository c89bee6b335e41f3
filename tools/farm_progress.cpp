// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "tools/text_table.h"

namespace tfo {

namespace {

constexpr size_t kMostNodes = 12;  // lines on a terminal; the rest is counted
constexpr size_t kProgressWidth =
    100;  // of a line there: one that is wrapped could not be taken back

/// What one member does just now, without a time, so that only a change is a change.
std::string member_words(const FarmMember& member) {
  if (member.acked) return "acknowledged";
  std::string words = member.live ? "waited for" : "waited for, without a lease";
  if (!member.partial.empty()) words += ": " + member.partial;
  return words;
}

std::string head_of(const FarmStatus& status) {
  std::string text =
      fmt::format("pool {}: {}, {} of {} acknowledged", status.pool, status.state,
                  status.members.size() - status.stragglers().size(), status.members.size());
  if (!status.connected) text += "; etcd does not answer this tfod";
  return text;
}

/// Those that are waited for come first.
std::vector<const FarmMember*> by_interest(const FarmStatus& status) {
  std::vector<const FarmMember*> order = status.stragglers();
  for (const FarmMember& member : status.members) {
    if (member.acked) order.push_back(&member);
  }
  return order;
}

}  // namespace

std::string straggler_words(const FarmStatus& status, const FarmMember& member, int64_t now) {
  std::string words = fmt::format("{} ({}) has not acknowledged", member.node, member.roles());
  if (status.since > 0) {
    words += " for " + duration_words(std::max<int64_t>(now - status.since, 0));
  }
  if (!member.live) words += "; without a lease, last seen " + time_words(member.last_seen);
  if (!member.partial.empty()) words += "; " + member.partial;
  return words;
}

void FarmProgress::show(const FarmStatus& status) {
  if (context_.live) {
    redraw(status);
  } else {
    changes(status);
  }
  context_.err << std::flush;
}

void FarmProgress::say(const std::string& text) {
  if (text == said_) return;
  erase();
  said_ = text;
  context_.err << printable(text) << '\n' << std::flush;
}

void FarmProgress::erase() {
  if (lines_ > 0) context_.err << fmt::format("\033[{}A\033[J", lines_);
  lines_ = 0;
}

void FarmProgress::redraw(const FarmStatus& status) {
  erase();
  const auto line = [this](const std::string& text) {
    context_.err << printable(text).substr(0, kProgressWidth) << '\n';
    ++lines_;
  };
  const int64_t now = std::time(nullptr);
  line(head_of(status) +
       (status.since > 0 ? ", " + duration_words(std::max<int64_t>(now - status.since, 0)) : ""));
  const auto order = by_interest(status);
  for (size_t i = 0; i < std::min(order.size(), kMostNodes); i++) {
    const FarmMember& member = *order[i];
    line("  " + (member.acked ? member.node + " (" + member.roles() + ") acknowledged"
                              : straggler_words(status, member, now)));
  }
  if (order.size() > kMostNodes) line(fmt::format("  and {} more", order.size() - kMostNodes));
}

/// Steps of the farm that may have passed between two looks.
void FarmProgress::news(const FarmStatus& status) {
  for (const nlohmann::json& event : array_of(status.document, "events")) {
    const rotation::Counter counter = counter_of(text_of(event, "counter"));
    if (counter <= last_) continue;
    last_ = counter;
    context_.err << printable(fmt::format("pool {}: {}: {} ({})", status.pool,
                                          text_of(event, "state"), text_of(event, "what"),
                                          text_of(event, "by")))
                 << '\n';
  }
}

void FarmProgress::changes(const FarmStatus& status) {
  news(status);
  const std::string state = status.state + text_of(status.document, "counter");
  if (state != state_) {
    state_ = state;
    nodes_.clear();
    context_.err << printable(head_of(status)) << '\n';
    for (const FarmMember& member : status.members) {
      // All wait at first: only what comes then is a change.
      if (!member.acked && member.partial.empty()) nodes_[member.node] = member_words(member);
    }
  }
  for (const FarmMember& member : status.members) {
    std::string& before = nodes_[member.node];
    const std::string now = member_words(member);
    if (before == now) continue;
    before = now;
    context_.err << printable(fmt::format("pool {}: {}: {} ({}) {}", status.pool, status.state,
                                          member.node, member.roles(), now))
                 << '\n';
  }
}

}  // namespace tfo
