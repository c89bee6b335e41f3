// SPDX-License-Identifier: BSD-2-Clause
// What lies in a declared prefix and has a name of its own: the programs count it for both.
#include <cstdint>
#include <map>
#include <string_view>

#include "loader/monitor/monitor.h"

namespace tfo {

/// A carpet's are its parts' too, as those are judged; what comes to none of them is its own.
void SynAckMonitor::add_parts() {
  std::map<std::string_view, Watched::Step> parts;  // by declared prefix
  for (const auto& [part, wide] : plan_.around) {
    const Watched::Step& step = watched_.at(part).step;
    Watched::Step& sum = parts[wide];
    sum.came += step.came;
    sum.bytes += step.bytes;
    sum.judged += step.judged;
  }
  for (auto& [name, watched] : watched_) {
    if (!watched.subject.each_address) continue;
    const Watched::Step& part = parts[name];
    const auto all = static_cast<int64_t>(watched.step.judged);
    const auto came = static_cast<int64_t>(part.came);
    watched.carpet.add(all - came + static_cast<int64_t>(part.judged), part.came);
    watched.own.add(all - came, part.came);
    watched.own_bytes.add(
        static_cast<int64_t>(watched.step.bytes) - static_cast<int64_t>(part.bytes), part.bytes);
  }
}

}  // namespace tfo
