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
  double empty = 0;     // ns, hot: of an XDP program
  double empty_tc = 0;  // of one at tc egress; 0: no row has it
  double run_call = 0;  // ns of one call with one packet
  std::vector<Row> rows;

  double ratio(const Row& row) const {
    const double base = row.what->leaves() ? empty_tc : empty;
    return (base + row.cost.net) / base;
  }
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
    const bool watched = row.what->count != BenchCount::kNothing &&
                         reason == BenchWorld::monitor_count(row.what->count);
    const uint64_t wanted = counted || watched ? packets : 0;
    if (after[reason] - before[reason] != wanted) {
      return fail(fmt::format("{} IPv{} {}: {} packets were counted under reason {} instead of {}",
                              row.what->name, row.family, row.tables(),
                              after[reason] - before[reason], reason, wanted));
    }
  }
  return {};
}

/// One run of a row's program, or of the empty one: ns per packet.
Result<double> time_row(const BenchWorld& world, const Row& row, int program, uint32_t verdict,
                        uint32_t repeat) {
  const std::vector<uint8_t> frame = world.frame(*row.what, row.family, 1);
  const uint32_t batch = row.what->batch == 0 ? repeat : row.what->batch;
  double sum = 0;
  for (uint32_t done = 0; done < repeat; done += batch) {
    if (row.what->batch != 0) {
      if (auto full = world.refresh(*row.what); !full) return tl::unexpected<Error>(full.error());
    }
    const uint32_t packets = std::min(batch, repeat - done);
    const auto one = time_run(program, frame, packets, verdict);
    if (!one) return one;
    sum += *one * packets;
  }
  return sum / repeat;
}

/// The tables as the packets of a row have to find them.
Result<> prepare(BenchWorld& world, const Row& row) {
  if (row.what->answer && row.what->count == BenchCount::kAnswered) {
    if (auto done = world.remember(*row.what, row.family, row.cold); !done) return done;
  }
  if (row.what->count == BenchCount::kUnsolicited) world.next_epoch(TFO_BLOOM_REMEMBERED);
  if (auto chosen = world.choose(*row.what, row.family); !chosen) return chosen;
  if (row.cold) {
    world.prepare(*row.what, row.family);
  } else if (row.what->anew()) {
    world.prepare_first(*row.what, row.family);
  }
  return world.refresh(*row.what);
}

/// Packets of one run. Each call waits for a grace period of RCU, tens of milliseconds.
uint32_t packets_of_run(const BenchWorld& world, const BenchArgs& args, const Row& row) {
  constexpr uint32_t kMostBatches = 32;
  const uint32_t all = row.cold ? world.packets() : args.repeat;
  return row.what->batch == 0 ? all : std::min(all, kMostBatches * row.what->batch);
}

/// Fills in what one row costs.
Result<> measure(BenchWorld& world, const BenchArgs& args, Row& row) {
  const uint32_t repeat = packets_of_run(world, args, row);
  const bool anew = row.cold || row.what->anew();
  if (auto ready = prepare(world, row); !ready) return ready;
  const auto before = world.counted();
  if (!before) return tl::unexpected<Error>(before.error());
  const BenchPrograms programs = world.programs(*row.what, anew);
  uint64_t packets = 0;

  // What is filled anew does not come to all packets of a cold run: the next one goes on there.
  const bool goes_on = row.cold && row.what->batch != 0;
  world.rewind(row.cold ? world.packets() : 1);
  const auto rewind = [&] {
    if (!goes_on) world.rewind(row.cold ? world.packets() : 1);
  };
  const auto empty = [&] {
    rewind();
    return time_row(world, row, programs.empty, programs.verdict, repeat);
  };
  const auto program = [&] {
    rewind();
    if (row.cold && row.what->count == BenchCount::kSynsOut) world.next_epoch(1);
    packets += repeat;
    return time_row(world, row, programs.measured, programs.verdict, repeat);
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
    const bool known = std::any_of(bench_cases().begin(), bench_cases().end(),
                                   [&](const BenchCase& one) { return name == one.name; });
    if (known) continue;
    std::string names;
    for (const BenchCase& one : bench_cases()) names += fmt::format(" {}", one.name);
    return fail(fmt::format("--case {}: there is no such case; there are{}", name, names));
  }
  std::vector<Row> rows;
  for (const BenchCase& one : bench_cases()) {
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
  const BenchPrograms programs = world.programs(bench_cases().front(), false);
  const std::vector<uint8_t> frame = world.frame(bench_cases().front(), 4, 1);
  std::vector<double> calls;
  for (int i = 0; i < kCalls; i++) {
    const auto call = time_run(programs.empty, frame, 1, programs.verdict);
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

  std::vector<double> empties, empties_tc;
  for (Row& row : *rows) {
    progress.step(fmt::format("{} of {}: {} IPv{} {}", &row - rows->data() + 1, rows->size(),
                              row.what->name, row.family, row.tables()));
    if (auto done = measure(*world, args, row); !done) return tl::unexpected<Error>(done.error());
    if (row.cold || row.what->anew() || row.what->batch != 0) continue;
    (row.what->leaves() ? empties_tc : empties).push_back(row.cost.empty);
  }
  if (empties.empty()) {
    const BenchCase& any = bench_cases().front();
    const BenchPrograms programs = world->programs(any, false);
    const auto empty =
        time_run(programs.empty, world->frame(any, 4, 1), args.repeat, programs.verdict);
    if (!empty) return tl::unexpected<Error>(empty.error());
    empties.push_back(*empty);
  }
  result.empty = median(std::move(empties));
  result.empty_tc = median(std::move(empties_tc));
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
                {"hook", row.what->leaves() ? "tc egress" : "xdp"},
                {"net_ns", rounded(row.cost.net)},
                {"ratio_to_empty", rounded(result.ratio(row))},
                {"subtracted_ns", rounded(row.cost.empty)},
                {"noise_ns", rounded(row.cost.noise)},
                {"goal_ns", nullptr},
                {"within", row.within()}};
    if (row.goal() > 0) one["goal_ns"] = row.goal();
    rows.push_back(std::move(one));
  }
  const json empty_tc = result.empty_tc > 0 ? json(rounded(result.empty_tc)) : json(nullptr);
  print_json(context, {{"empty_ns", rounded(result.empty)},
                       {"empty_tc_ns", empty_tc},
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
      "empty XDP program {:.1f} ns{}; one test run call {:.1f} us\n"
      "medians of {} runs on processor {}; hot: {} times one packet; cold: {} packets, each of its "
      "own\nclient, to {} VIPs in {} pools\n\n",
      result.empty,
      result.empty_tc > 0 ? fmt::format(", at tc egress {:.1f} ns", result.empty_tc) : "",
      result.run_call / 1000, args.runs, result.cpu, args.repeat, args.packets, BenchWorld::kVips,
      BenchWorld::kPools);
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
  for (const BenchCase& one : bench_cases())
    text += fmt::format("  {:24}  {}\n", one.name, one.meaning);
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
