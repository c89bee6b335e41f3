// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/bench_measure.h"
#include "tools/bench_world.h"
#include "tools/commands.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr double kHashExtraV6 = 12;  // ns that a SipHash over 32 bytes takes longer than over 8
constexpr double kTolerance = 1.5;   // times the goal: above it a row has to be explained
constexpr double kSlowSeconds = 2;   // from then on progress is shown

constexpr double kNoGoal = -1;

/// The goals are ns net for IPv4, hot and cold. `guard_flood`, `renew` and `demote` have none:
/// their cost is stated. Nor have the last three: they show what SYNs cost that Linux clients send
/// more rarely, or not at all.
constexpr BenchCase kCases[] = {
    {"not_syn", "segments of connections: left alone", 2, 2, 0, 0, BenchOptions::kTimestamps, 0,
     TFO_PASS, TFO_OTHER, false, true},
    {"not_syn_guard", "not_syn with the guard on", 6, 8, 0, 0, BenchOptions::kTimestamps, 0,
     TFO_PASS, TFO_OTHER, false, true, true},
    {"syn_plain", "SYNs without Fast Open, as Linux sends most", 12, 25, 0, 0, BenchOptions::kPlain,
     0, TFO_PASS, TFO_PLAIN, true, true},
    {"cookie_valid", "SYNs with the current key's cookie and data", 30, 45, 16, 1,
     BenchOptions::kCookie, 1, TFO_PASS, TFO_COOKIE_CURRENT, true, true},
    {"cookie_valid_guard", "cookie_valid with the guard on: each opens a handshake", 55, 120, 16, 1,
     BenchOptions::kCookie, 1, TFO_PASS, TFO_COOKIE_CURRENT, true, true, true},
    {"guard_flood", "cookie_valid_guard, each from a client network of its own", 0, kNoGoal, 16, 1,
     BenchOptions::kCookie, 1, TFO_PASS, TFO_COOKIE_CURRENT, true, true, true, true},
    {"renew", "SYNs with a retired key's cookie and data, rewritten", 0, kNoGoal, 16, 4,
     BenchOptions::kCookie, 3, TFO_RENEW, TFO_COOKIE_RETIRED, true, true},
    {"demote", "SYNs with a cookie that none of four keys made, and data, made requests", 0,
     kNoGoal, 16, 4, BenchOptions::kCookie, 0, TFO_DEMOTE, TFO_COOKIE_INVALID, true, true},
    {"cookie_invalid_4", "SYNs with a cookie that none of four keys made", 75, 90, 16, 4,
     BenchOptions::kCookie, 0, TFO_PASS, TFO_COOKIE_INVALID, true, true},
    {"cookie_request", "SYNs that ask for a cookie", 0, 0, 0, 0, BenchOptions::kRequest, 0,
     TFO_PASS, TFO_REQUEST, true, true},
    {"cookie_valid_other_order", "cookie_valid with the TCP options in another order than Linux's",
     0, 0, 16, 1, BenchOptions::kOtherOrder, 1, TFO_PASS, TFO_COOKIE_CURRENT, true, true},
    {"syn_not_vip", "SYNs to an address that is no VIP", 0, 0, 0, 0, BenchOptions::kPlain, 0,
     TFO_PASS, TFO_NOT_VIP, true, false},
};

struct Row {
  const BenchCase* what;
  int family;
  bool cold;
  Comparison cost;

  double goal() const {
    const double goal = cold ? what->goal_cold : what->goal_hot;
    if (goal <= 0) return 0;
    return family == 4 ? goal : goal + kHashExtraV6 * what->hashes;
  }
  bool within() const { return goal() == 0 || cost.net <= kTolerance * goal(); }
  const char* tables() const { return cold ? "cold" : "hot"; }
};

struct Report {
  int cpu = -1;
  double empty = 0;     // ns, hot
  double run_call = 0;  // ns of one call with one packet
  std::vector<Row> rows;

  double ratio(const Row& row) const { return (empty + row.cost.net) / empty; }
};

/// Says on stderr where a long run stands.
class Progress {
 public:
  explicit Progress(std::ostream& err) : err_(err) {}
  void step(const std::string& what) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    if (passed.count() > kSlowSeconds) err_ << "tfoctl bench: " << what << '\n' << std::flush;
  }

 private:
  std::ostream& err_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Measured figures mean nothing if the packets were not what they claim to be: each of them must
/// have been counted under the reason of its case.
Result<> check_counts(const Row& row, const std::vector<uint64_t>& before,
                      const std::vector<uint64_t>& after, uint64_t packets) {
  for (unsigned reason = 0; reason < before.size(); reason++) {
    const bool counted =
        (reason == row.what->reason && reason != TFO_OTHER) ||
        (row.what->action != TFO_PASS && reason == BenchWorld::action_count(row.what->action));
    const uint64_t wanted = counted ? packets : 0;
    if (after[reason] - before[reason] != wanted) {
      return fail(fmt::format("{} IPv{} {}: {} packets were counted under reason {} instead of {}",
                              row.what->name, row.family, row.tables(),
                              after[reason] - before[reason], reason, wanted));
    }
  }
  return {};
}

/// Fills in what one row costs.
Result<> measure(BenchWorld& world, const BenchArgs& args, Row& row) {
  const std::vector<uint8_t> frame = world.frame(*row.what, row.family, 1);
  const uint32_t repeat = row.cold ? world.packets() : args.repeat;
  const bool anew = row.cold || row.what->anew();
  uint64_t packets = 0;
  const auto before = world.counted();
  if (!before) return tl::unexpected<Error>(before.error());
  if (auto chosen = world.choose(*row.what, row.family); !chosen) return chosen;
  if (row.cold) {
    world.prepare(*row.what, row.family);
  } else if (anew) {
    world.prepare_first(*row.what, row.family);
  }

  const auto empty = [&] {
    world.rewind(row.cold ? world.packets() : 1);
    return time_run(anew ? world.cold_empty() : world.empty(), frame, repeat);
  };
  const auto program = [&] {
    world.rewind(row.cold ? world.packets() : 1);
    packets += repeat;
    return time_run(anew ? world.cold_tfo() : world.tfo(), frame, repeat);
  };
  const auto cost = compare(empty, program, args.runs);
  if (!cost) return tl::unexpected<Error>(cost.error());
  row.cost = *cost;
  const auto after = world.counted();
  if (!after) return tl::unexpected<Error>(after.error());
  return check_counts(row, *before, *after, packets);
}

Result<std::vector<Row>> plan(const BenchArgs& args) {
  for (const std::string& name : args.cases) {
    const bool known = std::any_of(std::begin(kCases), std::end(kCases),
                                   [&](const BenchCase& one) { return name == one.name; });
    if (known) continue;
    std::string names;
    for (const BenchCase& one : kCases) names += fmt::format(" {}", one.name);
    return fail(fmt::format("--case {}: there is no such case; there are{}", name, names));
  }
  std::vector<Row> rows;
  for (const BenchCase& one : kCases) {
    const bool wanted = args.cases.empty() || std::find(args.cases.begin(), args.cases.end(),
                                                        one.name) != args.cases.end();
    for (const int family : {4, 6}) {
      if (!wanted || (args.family != 0 && args.family != family)) continue;
      rows.push_back(Row{&one, family, false, {}});
      if (one.goal_cold != 0) rows.push_back(Row{&one, family, true, {}});
    }
  }
  return rows;
}

Result<double> time_run_call(const BenchWorld& world) {
  constexpr int kCalls = 1001;
  const std::vector<uint8_t> frame = world.frame(kCases[0], 4, 1);
  std::vector<double> calls;
  for (int i = 0; i < kCalls; i++) {
    const auto call = time_run(world.empty(), frame, 1);
    if (!call) return call;
    calls.push_back(*call);
  }
  return median(std::move(calls));
}

Result<Report> run(Context& context, const BenchArgs& args) {
  Progress progress(context.err);
  Report result;
  auto rows = plan(args);
  if (!rows) return tl::unexpected<Error>(rows.error());
  const auto cpu = claim_cpu(args.cpu);
  if (!cpu) return tl::unexpected<Error>(cpu.error());
  result.cpu = *cpu;
  auto world = BenchWorld::load(args.packets);
  if (!world) return tl::unexpected<Error>(world.error());
  const auto call = time_run_call(*world);
  if (!call) return tl::unexpected<Error>(call.error());
  result.run_call = *call;

  std::vector<double> empties;
  for (Row& row : *rows) {
    progress.step(fmt::format("{} of {}: {} IPv{} {}", &row - rows->data() + 1, rows->size(),
                              row.what->name, row.family, row.tables()));
    if (auto done = measure(*world, args, row); !done) return tl::unexpected<Error>(done.error());
    if (!row.cold && !row.what->anew()) empties.push_back(row.cost.empty);
  }
  if (empties.empty()) {
    const auto empty = time_run(world->empty(), world->frame(kCases[0], 4, 1), args.repeat);
    if (!empty) return tl::unexpected<Error>(empty.error());
    empties.push_back(*empty);
  }
  result.empty = median(std::move(empties));
  result.rows = std::move(*rows);
  return result;
}

double rounded(double value) { return std::round(value * 100) / 100; }

void print_as_json(Context& context, const BenchArgs& args, const Report& result) {
  json rows = json::array();
  for (const Row& row : result.rows) {
    json one = {{"case", row.what->name},
                {"family", row.family},
                {"tables", row.tables()},
                {"net_ns", rounded(row.cost.net)},
                {"ratio_to_empty", rounded(result.ratio(row))},
                {"subtracted_ns", rounded(row.cost.empty)},
                {"noise_ns", rounded(row.cost.noise)},
                {"goal_ns", nullptr},
                {"within", row.within()}};
    if (row.goal() > 0) one["goal_ns"] = row.goal();
    rows.push_back(std::move(one));
  }
  print_json(context, {{"empty_ns", rounded(result.empty)},
                       {"run_call_ns", rounded(result.run_call)},
                       {"cpu", result.cpu},
                       {"runs", args.runs},
                       {"repeat", args.repeat},
                       {"packets", args.packets},
                       {"vips", BenchWorld::kVips},
                       {"pools", BenchWorld::kPools},
                       {"rows", rows}});
}

void print_as_text(Context& context, const BenchArgs& args, const Report& result) {
  context.out << fmt::format(
      "empty XDP program {:.1f} ns; one test run call {:.1f} us\n"
      "medians of {} runs on processor {}; hot: {} times one packet; cold: {} packets, each of its "
      "own\nclient, to {} VIPs in {} pools\n\n",
      result.empty, result.run_call / 1000, args.runs, result.cpu, args.repeat, args.packets,
      BenchWorld::kVips, BenchWorld::kPools);
  TextTable table({"case", "<family", "<tables", "net ns", "+-", "ratio", "goal", "<"});
  for (const Row& row : result.rows) {
    const double goal = row.goal();
    const char* mark = goal == 0              ? ""
                       : row.cost.net <= goal ? "ok"
                       : row.within()         ? "ok, above the goal itself"
                                              : "ABOVE 1.5 x goal";
    table.add({row.what->name, fmt::format("IPv{}", row.family), row.tables(),
               fmt::format("{:.1f}", row.cost.net), fmt::format("{:.1f}", row.cost.noise),
               fmt::format("{:.2f}", result.ratio(row)),
               goal == 0 ? "" : fmt::format("{:.0f}", goal), mark});
  }
  table.print(context.out);
}

/// Says what makes the figures larger than they are: kernel.bpf_stats_enabled, with which every run
/// of every program pays for two clock reads, and company, which takes the caches.
void warn_of_disturbance(Context& context) {
  std::ifstream file("/proc/sys/kernel/bpf_stats_enabled");
  int enabled = 0;
  if (file >> enabled && enabled != 0) {
    context.err << "tfoctl: kernel.bpf_stats_enabled is on and adds to every figure; "
                   "`sysctl kernel.bpf_stats_enabled=0` turns it off\n";
  }
  double load = 0;
  const double processors = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  if (getloadavg(&load, 1) == 1 && load > processors / 2) {
    context.err << fmt::format(
        "tfoctl: this machine is busy (load {:.1f}): cold figures come out too large\n", load);
  }
}

}  // namespace

std::string bench_cases_help() {
  std::string text;
  for (const BenchCase& one : kCases) text += fmt::format("  {:24}  {}\n", one.name, one.meaning);
  return text;
}

int bench_run(Context& context, const BenchArgs& args) {
  warn_of_disturbance(context);
  const auto result = run(context, args);
  if (!result) return report(context, result.error());
  if (context.json) {
    print_as_json(context, args, *result);
  } else {
    print_as_text(context, args, *result);
  }
  const bool all = std::all_of(result->rows.begin(), result->rows.end(),
                               [](const Row& row) { return row.within(); });
  return args.check && !all ? kExitNo : kExitOk;
}

}  // namespace tfo
