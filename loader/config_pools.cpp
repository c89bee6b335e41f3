// SPDX-License-Identifier: BSD-2-Clause
// The section pools.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "bpf/tfo_abi.h"
#include "loader/config_parser.h"

namespace tfo {
namespace {

using std::chrono::seconds;
constexpr seconds kPoolHour{3600};
constexpr seconds kPoolDay{86400};

const std::vector<std::string_view> kDerivedFields = {"secret", "max_skew"};
const std::vector<std::string_view> kEtcdFields = {"deadline", "at_deadline", "forget_after",
                                                   "fresh_for"};

}  // namespace

void ConfigParser::pools(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"web": {"file": "/var/lib/tfoguard/web.keys"}})");
  const auto members = object.members();
  if (members.size() > TFO_MAX_POOLS) {
    node.complain(fmt::format("has {} pools", members.size()),
                  fmt::format("give at most {}", TFO_MAX_POOLS));
  }
  for (const auto& [pool_name, member] : members) pool(pool_name, member);
}

void ConfigParser::pool(const std::string& pool_name, const ConfigNode& node) {
  pool_names_.emplace(pool_name, node.path());
  const nlohmann::json key = pool_name;
  name(ConfigNode(key, node.path(), complaints_), 63);
  ConfigObject object(node, R"(such as {"file": "/var/lib/tfoguard/web.keys"})");
  PoolConfig out;
  out.name = pool_name;
  if (const auto field = object.optional("store")) {
    const auto store = field->choice({"file", "derived", "etcd"});
    out.store =
        std::array{StoreKind::kFile, StoreKind::kDerived, StoreKind::kEtcd}.at(store.value_or(0));
  }
  if (out.store == StoreKind::kDerived) {
    pool_secret(object, out);
  } else if (out.store == StoreKind::kEtcd) {
    pool_etcd(object, node, out);
  } else {
    pool_file(object, node, out);
  }
  pool_lifetimes(object, out);
  object.finish();
  config_.pools.push_back(out);
}

void ConfigParser::pool_file(ConfigObject& object, const ConfigNode& node, PoolConfig& out) {
  out.file = config_.state_directory + "/" + out.name + ".keys";
  const auto field = object.optional("file");
  if (field) {
    if (const auto path = absolute_path(*field, 4000)) out.file = *path;
  }
  once(pool_files_, out.file, field.value_or(node), "key file");
  refuse_fields(object, kDerivedFields, "derived",
                "give the pool \"store\": \"derived\", or remove this field");
  refuse_fields(object, kEtcdFields, "etcd",
                "give the pool \"store\": \"etcd\", or remove this field");
}

void ConfigParser::refuse_fields(ConfigObject& object, const std::vector<std::string_view>& fields,
                                 const std::string& store, const std::string& right) {
  for (const std::string_view field : fields) {
    if (const auto wrong = object.optional(field)) {
      wrong->complain("is a field of the store \"" + store + "\"", right);
    }
  }
}

void ConfigParser::pool_secret(ConfigObject& object, PoolConfig& out) {
  out.file = config_.state_directory + "/" + out.name + ".derived";
  const std::string right = R"(the path of the secret, such as "/etc/tfoguard/web.secret")";
  if (const auto field = object.required("secret", right)) {
    if (const auto path = absolute_path(*field, 4000)) out.secret = *path;
  }
  if (const auto field = object.optional("max_skew")) {
    out.max_skew = field->fine_duration(kPoolHour).value_or(out.max_skew);
  }
  refuse_fields(object, {"file"}, "file",
                "a derived pool's keys come from \"secret\": remove this field");
  refuse_fields(object, kEtcdFields, "etcd",
                "give the pool \"store\": \"etcd\", or remove this field");
}

void ConfigParser::pool_etcd(ConfigObject& object, const ConfigNode& node, PoolConfig& out) {
  out.file = config_.state_directory + "/" + out.name + ".rotation";
  once(pool_files_, out.file, node, "state file");
  farm_name(node, out.name);
  pool_membership(object, out);
  refuse_fields(object, {"file"}, "file", "an etcd pool's keys are the farm's: remove this field");
  refuse_fields(object, kDerivedFields, "derived",
                "give the pool \"store\": \"derived\", or remove this field");
}

void ConfigParser::pool_membership(ConfigObject& object, PoolConfig& out) {
  if (const auto field = object.optional("deadline")) {
    out.deadline = field->duration(seconds{1}, kPoolDay, false).value_or(out.deadline);
  }
  if (const auto field = object.optional("at_deadline")) {
    out.go_on_at_deadline = field->choice({"hold", "go_on"}).value_or(0) == 1;
  }
  const seconds lease = config_.farm ? config_.farm->lease : FarmConfig().lease;
  bool known = true;  // is forget_after what the user means?
  if (const auto field = object.optional("forget_after")) {
    const auto value = field->duration(3 * lease, 30 * kPoolDay, false);
    out.forget_after = value.value_or(out.forget_after);
    known = value.has_value();
  }
  // A validator must have stopped renewing before the farm goes on without it.
  const bool is_long = out.forget_after >= 2 * kPoolHour;
  const seconds most = out.forget_after - (is_long ? kPoolHour : lease);
  out.fresh_for = std::min(is_long ? most : out.forget_after / 2, most);
  if (const auto field = object.optional("fresh_for")) {
    const auto value = field->duration(seconds{1}, known ? most : 30 * kPoolDay, false);
    out.fresh_for = value.value_or(out.fresh_for);
  }
}

std::optional<seconds> ConfigParser::pool_interval(const ConfigNode& field, StoreKind store) {
  if (store != StoreKind::kDerived) return field.duration(seconds{1}, 7 * kPoolDay, true);
  const auto value = field.duration(seconds{10}, 7 * kPoolDay, false);
  if (!value || value->count() % 2 == 0) return value;
  field.complain(fmt::format("is {} s, which has no middle", value->count()),
                 "give an even number of seconds: servers change at each half");
  return std::nullopt;
}

void ConfigParser::pool_lifetimes(ConfigObject& object, PoolConfig& out) {
  bool known = true;  // is the interval to which not_after is compared what the user means?
  if (const auto field = object.optional("interval")) {
    const auto value = pool_interval(*field, out.store);
    out.interval = value.value_or(out.interval);
    known = value.has_value();
  }
  if (const auto field = object.optional("accept_generations")) {
    const auto value = field->integer(0, kMaxAcceptGenerations, "a number of retired keys");
    if (value) out.accept_generations = *value;
  }
  // Keys that nobody rotates have no end; others must outlive the rotation that replaces them.
  const bool rotated = out.interval.count() != 0;
  out.not_after = std::min(3 * out.interval, 7 * kPoolDay);
  const auto field = object.optional("not_after");
  if (!field) return;
  const seconds shortest = known ? std::max(out.interval, seconds{1}) : seconds{1};
  const auto value = field->duration(shortest, 7 * kPoolDay, !rotated || !known);
  if (value && !rotated && value->count() != 0) {
    field->complain("ends keys that nobody rotates", "give \"0\" or an interval");
  } else if (value) {
    out.not_after = *value;
  }
}

}  // namespace tfo
