// SPDX-License-Identifier: BSD-2-Clause
#include "tools/pool_choice.h"

#include <fmt/format.h>

#include "tools/client.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr const char* kShared = "etcd";

std::string names_of(const json& pools) {
  std::string names;
  for (const json& pool : pools) names += " " + text_of(pool, "name");
  return names;
}

}  // namespace

Result<std::string> choose_pool(const Context& context, const std::string& name) {
  if (!name.empty()) return name;
  auto keys = call(context, "keys");
  if (!keys) return tl::unexpected<Error>(keys.error());
  const json pools = array_of(*keys, "pools");
  if (pools.size() == 1) return text_of(pools[0], "name");
  return fail(pools.empty() ? "this tfod has no key pool"
                            : fmt::format("which pool? Name one of:{}", names_of(pools)));
}

Result<bool> is_shared(const Context& context, const std::string& pool) {
  auto keys = call(context, "keys");
  if (!keys) return tl::unexpected<Error>(keys.error());
  const json pools = array_of(*keys, "pools");
  for (const json& one : pools) {
    if (text_of(one, "name") == pool) return text_of(one, "store") == kShared;
  }
  return fail(fmt::format("no pool is named '{}'; there are:{}", pool, names_of(pools)));
}

Result<std::string> choose_shared_pool(const Context& context, const std::string& name) {
  auto keys = call(context, "keys");
  if (!keys) return tl::unexpected<Error>(keys.error());
  json shared = json::array();
  bool known = false;
  for (const json& one : array_of(*keys, "pools")) {
    if (text_of(one, "store") == kShared) shared.push_back(one);
    known |= text_of(one, "name") == name;
  }
  for (const json& one : shared) {
    if (name.empty() ? shared.size() == 1 : text_of(one, "name") == name) {
      return text_of(one, "name");
    }
  }
  if (known) {
    return fail(
        fmt::format("pool {} is not shared through etcd: its configuration has no "
                    "\"store\": \"etcd\"",
                    name));
  }
  if (shared.empty())
    return fail("no pool of this tfod is shared through etcd (\"store\": \"etcd\")");
  const std::string names = names_of(shared);
  return fail(name.empty() ? fmt::format("which pool? Name one of:{}", names)
                           : fmt::format("no pool is named '{}'; shared are:{}", name, names));
}

}  // namespace tfo
