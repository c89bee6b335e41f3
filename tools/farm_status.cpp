// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_status.h"

#include <charconv>

namespace tfo {

using nlohmann::json;

namespace {

/// A text of the document; empty instead of "-".
std::string optional_text(const json& object, const char* key) {
  const std::string text = text_of(object, key);
  return text == "-" ? "" : text;
}

bool flag_of(const json& object, const char* key) { return text_of(object, key) == "yes"; }

FarmMember member_of(const json& one) {
  FarmMember member;
  member.node = text_of(one, "node");
  member.balancer = flag_of(one, "balancer");
  member.server = flag_of(one, "server");
  member.live = flag_of(one, "live");
  member.acked = flag_of(one, "acked");
  member.ack = text_of(one, "ack");
  member.partial = optional_text(one, "partial");
  member.since = number_of(one, "since");
  member.last_seen = number_of(one, "last_seen");
  member.joined_at = number_of(one, "joined_at");
  return member;
}

void take_generations(FarmStatus& status) {
  for (const json& one : array_of(status.document, "generations")) {
    status.generations.insert(text_of(one, "id"));
    if (text_of(one, "slot") == "current") status.current = text_of(one, "id");
  }
}

}  // namespace

std::string FarmMember::roles() const {
  if (balancer && server) return "balancer server";
  if (balancer) return "balancer";
  return server ? "server" : "-";
}

std::vector<const FarmMember*> FarmStatus::stragglers() const {
  std::vector<const FarmMember*> missing;
  for (const FarmMember& member : members) {
    if (!member.acked) missing.push_back(&member);
  }
  return missing;
}

const FarmAsked* FarmStatus::find_asked(const std::string& id) const {
  for (const FarmAsked& one : asked) {
    if (one.id == id) return &one;
  }
  return nullptr;
}

rotation::Counter counter_of(const std::string& text) {
  rotation::Counter counter;
  const char* const end = text.data() + text.size();
  const auto [dot, error] = std::from_chars(text.data(), end, counter.incarnation);
  if (error != std::errc() || dot == end || *dot != '.') return {};
  const auto [last, wrong] = std::from_chars(dot + 1, end, counter.sequence);
  if (wrong != std::errc() || last != end) return {};
  return counter;
}

FarmStatus farm_status_from(json document) {
  FarmStatus status;
  status.document = std::move(document);
  const json& all = status.document;
  status.pool = text_of(all, "pool");
  status.state = text_of(all, "state");
  status.steady = status.state == "steady";
  status.counter = counter_of(text_of(all, "counter"));
  status.since = number_of(all, "since");
  status.leader = optional_text(all, "leader");
  status.leading = flag_of(all, "leading");
  status.connected = flag_of(all, "connected");
  status.held = optional_text(all, "held");
  take_generations(status);
  for (const json& one : array_of(all, "members")) status.members.push_back(member_of(one));
  for (const json& one : array_of(all, "asked")) {
    status.asked.push_back({text_of(one, "id"), text_of(one, "kind"), text_of(one, "state"),
                            optional_text(one, "why")});
  }
  status.roster_at = number_of(all, "roster_at");
  const json key = all.is_object() ? all.value("farm_key", json::object()) : json::object();
  status.newest_line = number_of(key, "newest");
  status.sealing_line = number_of(key, "sealed_under");
  return status;
}

tl::expected<FarmStatus, CallError> read_farm_status(const Context& context,
                                                     const std::string& pool) {
  auto reply = try_call(context, "farm-status", {{"pool", pool}});
  if (!reply) return tl::unexpected<CallError>(reply.error());
  return farm_status_from(std::move(*reply));
}

}  // namespace tfo
