// SPDX-License-Identifier: BSD-2-Clause
// The guard of a set of maps that takes another one's place.
#include <algorithm>
#include <iterator>

#include "bpf/settings.h"
#include "loader/dataplane/live_set.h"
#include "loader/log.h"

namespace tfo {

/// By slot: has it the same VIP here?
std::vector<bool> LiveSet::same_slots(const OldGuard& old) const {
  std::vector<bool> same(std::min<size_t>(old.names.size(), slots_.size()));
  for (uint32_t slot = slots_.first(); slot < same.size(); ++slot) {
    same[slot] = !old.names[slot].empty() && old.names[slot] == slots_.name(slot);
  }
  return same;
}

Result<> LiveSet::begin_guard(const OldGuard& old) {
  maps_.control.set_table(old.seed, maps_.sizes());
  const std::vector<bool> same = same_slots(old);
  for (uint32_t slot = 0; slot < same.size(); ++slot) {
    if (!same[slot]) continue;
    const auto settings = old.settings_of(slot);
    if (!settings) return tl::unexpected(settings.error());
    for (const uint32_t side : {0, TFO_VIP_SECOND}) {
      auto set = maps_.guard.settings.set(tfo_settings_index(slot, side), *settings);
      if (!set) return set;
    }
  }
  return {};
}

Result<> LiveSet::take_loads(const OldGuard& old) {
  if (!std::equal(std::begin(old.seed), std::end(old.seed), maps_.control.hash_seed())) {
    log_warning(
        "guard: the VIPs found no place under the seed that clients were named under, so what they "
        "hold open is not taken over: their loads begin at zero; what was counted is kept");
    return {};
  }
  if (auto copied = guard_->copy_list(old.list); !copied) return copied;
  return guard_->take_loads(old, same_slots(old));
}

Result<> LiveSet::change_seed() {
  auto seed = new_seed();
  if (!seed) return tl::unexpected(seed.error());
  maps_.control.set_table(seed->data(), maps_.sizes());
  return {};
}

}  // namespace tfo
