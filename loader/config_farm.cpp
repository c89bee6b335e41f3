// SPDX-License-Identifier: BSD-2-Clause
// The section farm.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "loader/config_parser.h"
#include "loader/keys/redact.h"
#include "loader/rotation/records.h"

namespace tfo {
namespace {

using std::chrono::seconds;
constexpr seconds kLeaseMost{3600};
constexpr size_t kMaxEndpoints = 32;

constexpr char kExample[] =
    R"(such as {"name": "edge", "etcd": {"endpoints": ["https://10.0.0.1:2379"]}})";
constexpr char kHostNameRule[] = "give 1 to 63 letters, digits, '.', '_' and '-'";

/// Up to its first dot.
std::string short_host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  const std::string whole = name.data();
  return whole.substr(0, whole.find('.'));
}

/// "farm.etcd.endpoints: words" and "farm.etcd.user and ... words" begin with the field that they
/// are about.
std::pair<std::string, std::string> field_and_words(const std::string& message) {
  const size_t end = std::min(message.find_first_of(": "), message.size());
  const size_t words = message.find_first_not_of(": ", end);
  const bool colon = end < message.size() && message[end] == ':';
  return {message.substr(0, end),
          colon && words != std::string::npos ? message.substr(words) : message};
}

}  // namespace

bool ConfigParser::farm_name(const ConfigNode& node, const std::string& text) {
  if (looks_like_key(text)) {
    node.complain("looks like a key", std::string("names are shown everywhere: ") + kHostNameRule);
    return false;
  }
  if (rotation::check_name(text, "name")) return true;
  node.complain(fmt::format("\"{}\" cannot be a part of etcd's keys", text), kHostNameRule);
  return false;
}

void ConfigParser::farm(const ConfigNode& node) {
  ConfigObject object(node, kExample);
  FarmConfig out;
  if (const auto field = object.required("name", "a name that all of the farm's nodes share")) {
    if (const auto text = field->text("of 1 to 63 letters, digits, '.', '_' and '-'")) {
      farm_name(*field, *text);
      out.name = *text;
    }
  }
  farm_node(object, node, out);
  if (const auto field = object.optional("key_file")) {
    out.key_file = absolute_path(*field, kMostPath).value_or(out.key_file);
  }
  if (const auto field = object.optional("lease")) {
    out.lease = field->duration(seconds{3}, kLeaseMost, false).value_or(out.lease);
  }
  const std::string right = R"(such as {"endpoints": ["https://10.0.0.1:2379"]})";
  if (const auto field = object.required("etcd", right)) farm_etcd(*field, out);
  object.finish();
  config_.farm = std::move(out);
}

void ConfigParser::farm_node(ConfigObject& object, const ConfigNode& node, FarmConfig& out) {
  const auto field = object.optional("node");
  if (field) {
    const auto text = field->text("of 1 to 63 letters, digits, '.', '_' and '-'");
    if (text && farm_name(*field, *text)) out.node = *text;
    return;
  }
  out.node = short_host_name();
  if (object.valid() && !rotation::check_name(out.node, "node")) {
    node.complain(fmt::format("has no \"node\", and the host name \"{}\" cannot be one", out.node),
                  "give this node a name of its own in the farm");
  }
}

void ConfigParser::farm_etcd(const ConfigNode& node, FarmConfig& out) {
  ConfigObject object(node, R"(such as {"endpoints": ["https://10.0.0.1:2379"]})");
  const std::string right = R"(the client addresses of etcd's members, ["https://10.0.0.1:2379"])";
  if (const auto field = object.required("endpoints", right)) farm_endpoints(*field, out);
  const std::pair<const char*, std::string*> files[] = {{"ca_file", &out.etcd.ca_file},
                                                        {"cert_file", &out.etcd.cert_file},
                                                        {"key_file", &out.etcd.key_file},
                                                        {"password_file", &out.etcd.password_file}};
  for (const auto& [name, place] : files) {
    const auto field = object.optional(name);
    if (!field) continue;
    const auto text = field->text("an absolute path, or \"\" for none");
    if (text && !text->empty()) *place = absolute_path(*field, kMostPath).value_or("");
  }
  if (const auto field = object.optional("user")) {
    out.etcd.user = field->text("the name of a user of etcd, or \"\" for none").value_or("");
  }
  object.finish();
  // What does not belong together; an endpoint that is none was complained about.
  if (out.etcd.endpoints.empty()) return;
  etcd::Config tls = out.etcd;
  tls.user.clear();
  tls.password_file.clear();
  etcd::Config user = out.etcd;
  user.ca_file.clear();
  user.cert_file.clear();
  user.key_file.clear();
  for (const etcd::Config& part : {tls, user}) {
    if (const auto checked = etcd::check(part); !checked) {
      const auto [where, words] = field_and_words(checked.error().message);
      complaints_.add(where, words, "");
    }
  }
}

void ConfigParser::farm_endpoints(const ConfigNode& node, FarmConfig& out) {
  const auto items = node.items(kMaxEndpoints, R"(such as ["https://10.0.0.1:2379"])");
  if (node.is_empty_array()) node.complain("is empty", "give the client address of each member");
  bool good = true;
  for (const ConfigNode& item : items) {
    const auto text = item.text(R"(such as "https://10.0.0.1:2379")");
    const auto normal = text ? etcd::normalise_endpoint(*text) : Result<std::string>(std::string());
    if (!normal) item.complain(field_and_words(normal.error().message).second, "");
    good = good && text && normal;
    if (good) out.etcd.endpoints.push_back(*normal);
  }
  if (!good) out.etcd.endpoints.clear();
}

void ConfigParser::farm_needed(bool given) {
  std::vector<std::string> names;
  for (const PoolConfig& pool : config_.pools) {
    if (pool.store == StoreKind::kEtcd) names.push_back(pool.name);
  }
  if (given || names.empty()) return;
  complaints_.add(
      "farm", fmt::format("is missing, and the keys of {} come from etcd", fmt::join(names, ", ")),
      std::string("give the farm that this node belongs to, ") + kExample);
}

}  // namespace tfo
