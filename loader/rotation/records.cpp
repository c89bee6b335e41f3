// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "loader/etcd/json.h"
#include "loader/rotation/object_reader.h"

namespace tfo::rotation {
namespace {

using nlohmann::json;
using Reader = ObjectReader<json>;

constexpr size_t kMaxName = 63;
constexpr size_t kMaxText = 1000;
constexpr std::array<std::string_view, 5> kKinds = {"rotate", "abort", "revoke", "forget", "rekey"};

bool may_stand_in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string read_name(Reader& reader, const char* field) {
  std::string name = reader.text(field);
  if (reader.good()) {
    if (auto good = check_name(name, field); !good) reader.take(std::move(good.error()));
  }
  return name;
}

/// As the validators' limits take them: an array, or null.
json read_listeners(Reader& reader) {
  json listeners = reader.value("listeners");
  if (!listeners.is_null() && !listeners.is_array()) reader.wrong("listeners", "is not a list");
  return listeners;
}

Request::Kind read_kind(Reader& reader) {
  const std::string name = reader.text("kind");
  const auto* found = std::find(kKinds.begin(), kKinds.end(), name);
  if (found == kKinds.end()) {
    reader.wrong("kind", "is none of rotate, abort, revoke, forget, rekey");
    return Request::Kind::kAbort;
  }
  return static_cast<Request::Kind>(found - kKinds.begin());
}

}  // namespace

std::string pool_prefix(const std::string& farm, const std::string& pool) {
  return fmt::format("/tfo/{}/{}/", farm, pool);
}

Result<> check_name(std::string_view name, std::string_view field) {
  const bool good =
      !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, may_stand_in_name);
  if (good) return {};
  return fail(fmt::format(
      "{} is not a name of 1 to 63 letters, digits, dots, underscores and hyphens", field));
}

json to_json(const Member& member) {
  return {{"node", member.node},
          {"balancer", member.balancer},
          {"server", member.server},
          {"joined_at", member.joined_at},
          {"membership", id_text(member.membership)}};
}

json to_json(const Ack& ack) {
  return {{"node", ack.node},         {"counter", counter_json<json>(ack.counter)},
          {"hash", ack.hash},         {"partial", etcd::printable(ack.partial, kMaxText)},
          {"balancer", ack.balancer}, {"server", ack.server},
          {"renews", ack.renews},     {"boot_id", ack.boot_id},
          {"instance", ack.instance}, {"sequence", ack.sequence},
          {"clock", ack.clock},       {"since", ack.since},
          {"opens", ack.opens},       {"listeners", ack.listeners}};
}

json to_json(const Request& request) {
  return {{"id", request.id},
          {"kind", to_string(request.kind)},
          {"expects", counter_json<json>(request.expects)},
          {"generation", id_text(request.generation)},
          {"gentle", request.gentle},
          {"node", request.node},
          {"off_wire", request.off_wire},
          {"key", request.key},
          {"revoke_all", request.revoke_all},
          {"by", request.by},
          {"at", request.at}};
}

// Members and acknowledgements only inform: a later release may say more in them.
Result<Member> member_from(const json& object) {
  Reader reader(object, "");
  Member member;
  member.node = read_name(reader, "node");
  member.balancer = reader.boolean("balancer");
  member.server = reader.boolean("server");
  member.joined_at = reader.number<int64_t>("joined_at");
  if (object.is_object() && object.contains("membership")) {
    member.membership = reader.id("membership", true);
  }
  if (auto read = reader.done(); !read) return tl::unexpected(std::move(read.error()));
  return member;
}

Result<Ack> ack_from(const json& object) {
  Reader reader(object, "");
  Ack ack;
  ack.node = read_name(reader, "node");
  ack.counter = reader.counter("counter");
  ack.hash = reader.text("hash");
  ack.partial = reader.text("partial");
  ack.balancer = reader.boolean("balancer");
  ack.server = reader.boolean("server");
  ack.renews = reader.boolean("renews");
  ack.boot_id = reader.text("boot_id");
  if (object.is_object() && object.contains("instance")) ack.instance = reader.text("instance");
  if (object.is_object() && object.contains("sequence")) {
    ack.sequence = reader.number<uint64_t>("sequence");
  }
  ack.clock = reader.number<int64_t>("clock");
  ack.since = reader.number<int64_t>("since");
  for (const json& number : reader.array("opens")) {
    const auto read = Reader::number_of<uint32_t>(number);
    if (!read) reader.wrong("opens", "is not a list of numbers");
    ack.opens.push_back(read.value_or(0));
  }
  ack.listeners = read_listeners(reader);
  if (auto read = reader.done(); !read) return tl::unexpected(std::move(read.error()));
  return ack;
}

AckOrder::Age AckOrder::look(const Ack& ack) {
  if (ack.sequence == 0) return Age::kNew;
  uint64_t& newest = newest_[ack.instance];
  if (ack.sequence == newest && ack.instance == last_) return Age::kSame;
  if (ack.sequence <= newest) return Age::kOld;
  newest = ack.sequence;
  last_ = ack.instance;
  return Age::kNew;
}

Result<Request> request_from(const json& object) {
  Reader reader(object, "");
  Request request;
  request.id = reader.text("id");
  if (!id_from(request.id)) reader.wrong("id", "is not an id of 16 hex digits");
  request.kind = read_kind(reader);
  request.expects = reader.counter("expects");
  request.generation = reader.id("generation", true);
  request.gentle = reader.boolean("gentle");
  request.node = reader.text("node");
  if (!request.node.empty() || request.kind == Request::Kind::kForget) {
    request.node = read_name(reader, "node");
  }
  request.off_wire = reader.boolean("off_wire");
  request.key = reader.number<uint32_t>("key");
  request.revoke_all = reader.boolean("revoke_all");
  request.by = read_name(reader, "by");
  request.at = reader.number<int64_t>("at");
  if (auto read = reader.finish(); !read) return tl::unexpected(std::move(read.error()));
  return request;
}

std::string_view to_string(Request::Kind kind) { return kKinds.at(static_cast<size_t>(kind)); }

}  // namespace tfo::rotation
