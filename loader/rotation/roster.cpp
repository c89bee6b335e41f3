// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/roster.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

constexpr int64_t kOffsetLasts = 600'000;  // ms
constexpr size_t kMostAnswered = 1024;

/// What is behind a prefix, or nothing.
std::optional<std::string> behind(const std::string& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return name.substr(prefix.size());
}

/// Whoever writes to etcd chooses the names there: others than ours must not get into a document,
/// which would make it unreadable for everybody, nor into what is told.
bool is_ours(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos || check_name(name.substr(slash + 1), "name").has_value();
}

nlohmann::json parse(const Opened& opened) {
  return nlohmann::json::parse(opened.text.begin(), opened.text.end(), nullptr, false);
}

}  // namespace

void Roster::clear() {
  load({});
  vanished_.clear();
  answered_.clear();
  clocks_.clear();
  orders_.clear();
  reports_.clear();
  silent_since_.clear();
  at_ = 0;
}

void Roster::load(const std::vector<etcd::KeyValue>& records) {
  members_.clear();
  left_.clear();
  vanished_.clear();
  acks_.clear();
  requests_.clear();
  refused_.clear();
  forged_.clear();
  live_.clear();
  report_record_.reset();
  const std::string prefix = site_.key("");
  for (const auto& record : records) {
    if (record.key.starts_with(prefix)) put(record.key.substr(prefix.size()), record.value, false);
  }
  std::erase_if(silent_since_, [this](const auto& one) {
    return live_.contains(one.first) || !members_.contains(one.first);
  });
  for (const auto& [node, member] : members_) {
    if (!live_.contains(node)) silent_since_.try_emplace(node, boot_ms());
  }
  at_ = site_.clock.now().unix_s * 1000 + site_.clock.now().unix_ns / 1'000'000;
}

void Roster::load_again(const std::vector<etcd::KeyValue>& records) {
  std::map<std::string, Member> before = vanished_;
  before.insert(members_.begin(), members_.end());
  // load() begins anew for whom it finds no record of: whoever ends watches could put off for ever
  // that they are forgotten.
  const std::map<std::string, int64_t> silent = silent_since_;
  load(records);
  for (const auto& [node, ack] : acks_) {
    Member acked;
    acked.node = node;
    acked.balancer = ack.balancer;
    acked.server = ack.server;
    before.try_emplace(node, acked);
  }
  for (const auto& [node, member] : before) {
    vanish(member);
    const auto since = silent.find(node);
    if (since != silent.end() && vanished_.contains(node) && !live_.contains(node)) {
      silent_since_[node] = since->second;
    }
  }
}

bool Roster::has_left(const Member& member) const {
  const auto left = left_.find(member.node);
  return left != left_.end() && left->second.membership == member.membership &&
         left->second.joined_at == member.joined_at;
}

void Roster::vanish(const Member& member) {
  if (members_.contains(member.node) || has_left(member)) return;
  vanished_[member.node] = member;
  if (!live_.contains(member.node)) silent_since_.try_emplace(member.node, boot_ms());
}

void Roster::forget(const std::vector<std::string>& nodes) {
  for (const std::string& node : nodes) {
    members_.erase(node);
    vanished_.erase(node);
    acks_.erase(node);
  }
}

void Roster::apply(const etcd::WatchEvent& event) {
  const std::string prefix = site_.key("");
  if (!event.kv.key.starts_with(prefix)) return;
  const std::string name = event.kv.key.substr(prefix.size());
  if (event.deleted) {
    remove(name);
  } else {
    put(name, event.kv.value, true);
  }
  at_ = site_.clock.now().unix_s * 1000 + site_.clock.now().unix_ns / 1'000'000;
}

void Roster::put(const std::string& name, const std::string& value, bool fresh) {
  refused_.erase(name);
  forged_.erase(name);
  if (!is_ours(name)) return refuse(name, "a key in etcd has a name that no node gives");
  if (const auto node = behind(name, kMemberPrefix)) return put_member(*node, name, value);
  if (const auto node = behind(name, kAckPrefix)) return put_ack(*node, name, value, fresh);
  if (const auto node = behind(name, kLivePrefix)) return set_live(*node, true);
  if (const auto node = behind(name, kLeftPrefix)) return put_left(*node, name, value);
  if (const auto id = behind(name, kRequestPrefix)) return put_request(*id, name, value);
  if (name == kReports) return put_reports(value);
}

/// A record that cannot be read counts as a member of every role which has acknowledged nothing:
/// nobody must be able to have a node forgotten by spoiling its record. Any line of the farm key
/// will do, since nodes write theirs anew only some time after a change of lines.
void Roster::put_member(const std::string& node, const std::string& name,
                        const std::string& value) {
  Member unknown;
  unknown.node = node;
  unknown.balancer = unknown.server = true;
  members_[node] = unknown;
  vanished_.erase(node);
  if (!live_.contains(node)) silent_since_.try_emplace(node, boot_ms());
  const auto opened = site_.open_any(name, value);
  if (!opened) return refuse(name, opened.error().message);
  const auto member = member_from(parse(*opened));
  if (!member) return refuse(name, member.error().message);
  if (member->node != node) return refuse(name, name + ": it is another node's");
  members_[node] = *member;
}

void Roster::put_left(const std::string& node, const std::string& name, const std::string& value) {
  left_.erase(node);
  const auto opened = site_.open_any(name, value);
  if (!opened) return refuse(name, opened.error().message);
  const auto member = member_from(parse(*opened));
  if (!member || member->node != node) return refuse(name, name + ": it is no farewell of " + node);
  left_[node] = *member;
  const auto gone = vanished_.find(node);
  if (gone != vanished_.end() && has_left(gone->second)) vanished_.erase(gone);
}

void Roster::put_ack(const std::string& node, const std::string& name, const std::string& value,
                     bool fresh) {
  acks_.erase(node);
  const auto opened = site_.open(name, value);
  if (!opened) return refuse_unless_old(name, value, opened.error());
  const auto ack = ack_from(parse(*opened));
  if (!ack) return refuse(name, ack.error().message);
  if (ack->node != node || ack->counter != opened->counter) {
    return refuse(name, name + ": what is sealed in it is not what it says it is");
  }
  // What came after it may have taken it back; the node writes its own again at its next read.
  const AckOrder::Age age = orders_[node].look(*ack);
  if (age == AckOrder::Age::kOld) {
    return refuse(name, name + ": it is an earlier one that somebody has put back");
  }
  acks_[node] = *ack;
  reports_[node] = report_of(*ack);
  if (fresh && age == AckOrder::Age::kNew) clocks_[node] = {ack->clock, boot_ms()};
}

/// After a change of lines nodes write theirs anew; until then it counts for nothing, and is no
/// reason for an alarm.
void Roster::refuse_unless_old(const std::string& name, const std::string& value,
                               const Error& error) {
  if (!site_.open_any(name, value)) refuse(name, error.message);
}

void Roster::put_reports(const std::string& value) {
  report_record_.reset();
  const auto opened = site_.open(kReports, value);
  if (!opened) return refuse_unless_old(kReports, value, opened.error());
  if (const auto record = report_record_from(parse(*opened))) report_record_ = *record;
}

FarmReports Roster::reports() const {
  FarmReports sums;
  for (const auto& [node, report] : reports_) {
    if (site_.known().forgotten.contains(node)) continue;
    if (members_.contains(node) || vanished_.contains(node)) add(sums, report);
  }
  return sums;
}

void Roster::put_request(const std::string& id, const std::string& name, const std::string& value) {
  requests_.erase(id);
  const auto forged = [&](const Error& error) {
    if (site_.lacks_line_of(value)) return refuse(name, error.message);
    forged_[name] = value;
    refuse_unless_old(name, value, error);
  };
  const auto opened = site_.open(name, value);
  if (!opened) return forged(opened.error());
  auto request = request_from(parse(*opened));
  if (!request) return refuse(name, request.error().message);
  if (request->id != id) return forged(Error{name + ": it is another request's"});
  requests_[id] = std::move(*request);
}

void Roster::forget_request(const std::string& id) {
  if (requests_.erase(id) == 0 || std::ranges::count(answered_, id) > 0) return;
  answered_.push_back(id);
  if (answered_.size() > kMostAnswered) answered_.pop_front();
}

std::vector<std::string> Roster::replayed() const {
  std::vector<std::string> again;
  for (const auto& [id, request] : requests_) {
    if (std::ranges::count(answered_, id) > 0) again.push_back(id);
  }
  return again;
}

void Roster::set_live(const std::string& node, bool live) {
  if (live) {
    live_.insert(node);
    silent_since_.erase(node);
  } else {
    live_.erase(node);
    silent_since_[node] = boot_ms();
  }
}

void Roster::remove(const std::string& name) {
  refused_.erase(name);
  forged_.erase(name);
  if (const auto node = behind(name, kMemberPrefix)) {
    const auto known = members_.find(*node);
    if (known == members_.end()) return;
    const Member member = known->second;
    members_.erase(known);
    if (has_left(member)) {
      silent_since_.erase(*node);
      clocks_.erase(*node);
    }
    vanish(member);
  } else if (const auto acked = behind(name, kAckPrefix)) {
    acks_.erase(*acked);
  } else if (const auto lived = behind(name, kLivePrefix)) {
    set_live(*lived, false);
  } else if (const auto left = behind(name, kLeftPrefix)) {
    left_.erase(*left);
  } else if (const auto id = behind(name, kRequestPrefix)) {
    forget_request(*id);
  } else if (name == kReports) {
    report_record_.reset();
  }
}

FarmView Roster::view() const {
  FarmView view;
  view.members = members_;
  for (const auto& [node, member] : vanished_) {
    if (!site_.known().forgotten.contains(node)) view.members.emplace(node, member);
  }
  view.acks = acks_;
  view.live = live_;
  view.synchronised = site_.clock.now().synchronised;
  const int64_t now = boot_ms();
  for (const auto& [node, since] : silent_since_) view.silent_for[node] = (now - since) / 1000;
  const int64_t ours = site_.clock.now().unix_s;
  for (const auto& [node, heard] : clocks_) {
    const int64_t age = now - heard.at;
    if (age < kOffsetLasts) view.clock_offsets[node] = heard.unix_s + age / 1000 - ours;
  }
  for (const auto& [id, request] : requests_) {
    if (std::ranges::count(answered_, id) == 0) view.requests.push_back(request);
  }
  return view;
}

NodeCounts Roster::count_nodes(const Counter& counter, const std::string& hash) const {
  NodeCounts counts;
  const auto count = [&](const std::string& node) {
    const auto ack = acks_.find(node);
    const bool of_this =
        ack != acks_.end() && ack->second.counter == counter && ack->second.hash == hash;
    if (!live_.contains(node)) {
      ++counts.unreachable;
    } else if (!of_this) {
      ++counts.pending;
    } else {
      ++(ack->second.partial.empty() ? counts.acknowledged : counts.drifted);
    }
  };
  for (const auto& [node, member] : members_) count(node);
  for (const auto& [node, member] : vanished_) {
    if (!members_.contains(node) && !site_.known().forgotten.contains(node)) count(node);
  }
  return counts;
}

std::string Roster::refused() const {
  if (refused_.empty()) return "";
  const std::string& first = refused_.begin()->second;
  return refused_.size() == 1 ? first : fmt::format("{} (and {} more)", first, refused_.size() - 1);
}

}  // namespace tfo::rotation
