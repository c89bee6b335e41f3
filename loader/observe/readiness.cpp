// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/readiness.h"

#include <fmt/format.h>

#include <algorithm>

namespace tfo {
namespace {

bool has_key(const View& view, const std::string& pool) {
  const auto found = std::ranges::find(view.pools, pool, &PoolView::name);
  return found != view.pools.end() && std::ranges::any_of(found->keys, [&](const KeyView& key) {
           return key.place == "current" && (key.not_after == 0 || view.now < key.not_after);
         });
}

}  // namespace

std::string what_lacks(const View& view) {
  std::string lacks;
  for (const InterfaceView& interface : view.interfaces) {
    if (interface.mode == "native" || interface.mode == "generic") continue;
    lacks +=
        fmt::format("interface {}: {}: {}\n", interface.name, interface.mode, interface.detail);
  }
  for (const PoolConfigView& pool : view.configured_pools) {
    if (!has_key(view, pool.name)) lacks += fmt::format("pool {}: no unexpired key\n", pool.name);
  }
  return lacks;
}

}  // namespace tfo
