// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <chrono>

#include "bpf/tfo_abi.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/stats_text.h"
#include "tools/stop_signal.h"

namespace tfo {

using nlohmann::json;

namespace {

using SteadyClock = std::chrono::steady_clock;

/// The daemon's counters, of one VIP only if the user named one.
Result<json> read_stats(const Context& context, const std::string& vip) {
  auto stats = call(context, "stats");
  if (!stats || vip.empty()) return stats;
  json found = json::array();
  for (const json& one : array_of(*stats, "vips")) {
    if (text_of(one, "name") == vip) found.push_back(one);
  }
  if (found.empty()) {
    return fail(fmt::format("no VIP is named '{}'; `tfoctl vip list` shows them", vip));
  }
  (*stats)["vips"] = std::move(found);
  return stats;
}

void draw(Context& context, const json& now, const StatsArgs& args, const Rates* rates) {
  // On a terminal each table takes the place of the one before; in a file they follow each other.
  if (&context.out == context.terminal) context.out << "\033[H\033[2J";
  if (args.vip.empty()) {
    print_overview(context.out, now, rates);
  } else {
    print_vip(context.out, now["vips"][0], rates);
  }
  context.out << std::flush;
}

}  // namespace

int stats_show(Context& context, const StatsArgs& args) {
  const auto stats = read_stats(context, args.vip);
  if (!stats) return report(context, stats.error());
  if (context.json) {
    print_json(context, *stats);
  } else {
    draw(context, *stats, args, nullptr);
  }
  return kExitOk;
}

int stats_watch(Context& context, const StatsArgs& args) {
  if (context.json) {
    return report(context, Error{"watch draws a table; for one JSON document use "
                                 "`tfoctl -j stats`"});
  }
  StopSignal stop;
  const auto step = std::chrono::duration_cast<SteadyClock::duration>(
      std::chrono::duration<double>(args.interval));
  json before;
  SteadyClock::time_point taken;
  for (unsigned drawn = 0; args.count == 0 || drawn < args.count; drawn++) {
    const SteadyClock::time_point start = SteadyClock::now();
    auto now = read_stats(context, args.vip);
    if (!now) return report(context, now.error());
    const double seconds = std::chrono::duration<double>(start - taken).count();
    const Rates rates{before, drawn == 0 ? 0 : seconds};
    draw(context, *now, args, &rates);
    if (!context.out) return kExitFailed;
    before = std::move(*now);
    taken = start;
    if (drawn + 1 != args.count && stop.wait_until(start + step)) break;
  }
  return kExitOk;
}

}  // namespace tfo
