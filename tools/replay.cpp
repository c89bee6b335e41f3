// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <chrono>

#include "tools/commands.h"
#include "tools/replay_report.h"
#include "tools/replay_signals.h"
#include "tools/replay_sinks.h"
#include "tools/replay_world.h"

namespace tfo {

namespace {

using Clock = std::chrono::steady_clock;

/// Says how far it is, every two seconds.
class ProgressLine {
 public:
  ProgressLine(std::ostream& err, const CaptureReader& reader) : err_(&err), reader_(&reader) {}

  void show(const ReplayTotals& totals) {
    const Clock::time_point now = Clock::now();
    if (now < next_) return;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    *err_ << fmt::format("tfoctl: {} frames, {:.0f} a second", totals.captured(),
                         static_cast<double>(totals.captured()) / seconds);
    if (const auto size = reader_->file_size(); size && *size > 0) {
      *err_ << fmt::format(", {:.0f} %", 100.0 * static_cast<double>(reader_->bytes_read()) /
                                             static_cast<double>(*size));
    }
    *err_ << '\n' << std::flush;
    next_ = now + kEvery;
  }

 private:
  static constexpr auto kEvery = std::chrono::seconds(2);
  std::ostream* err_;
  const CaptureReader* reader_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + kEvery;
};

/// SIGINT ends the replay of a file between two frames. Of a pipe, it ends the writer, and what
/// that still had is read.
bool is_stopped(const ReplaySignals& signals, const CaptureReader& reader) {
  return signals.interrupted() && reader.file_size();
}

Result<> run(Context& context, const CaptureReader& reader, Replay& replay,
             const ReplaySignals& signals) {
  ProgressLine progress(context.err, reader);
  auto done = replay.run([&](const ReplayTotals& totals) {
    progress.show(totals);
    return !is_stopped(signals, reader);
  });
  if (done && is_stopped(signals, reader)) return fail("interrupted");
  return done;
}

void print_totals(Context& context, const ReplayArgs& args, const ReplayOutcome& outcome) {
  if (!context.json) {
    if (args.frames) context.out << '\n';
    print_replay(context.out, outcome);
    return;
  }
  const std::string rest =
      replay_json(outcome).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  context.out << (args.frames ? "]," + rest.substr(1) : rest) << '\n';
}

/// `out`: the copy to be kept, null if there is none.
int finish(Context& context, const ReplayArgs& args, const ReplayOutcome& outcome,
           AnnotatedCapture* out) {
  print_totals(context, args, outcome);
  context.out << std::flush;
  int code = outcome.error ? report(context, *outcome.error) : kExitOk;
  if (out == nullptr) return code;
  if (auto kept = out->commit(); !kept) code = report(context, kept.error());
  return code;
}

int replay_reader(Context& context, const ReplayArgs& args, CaptureReader& reader,
                  ReplayWorld& world) {
  ReplayOptions options{.incoming_only = args.incoming,
                        .rewritten = !args.out.empty(),
                        .interface = args.world.interface};
  Replay replay(reader, world, std::move(options));
  RefusedClients refused;
  replay.add(refused);
  FrameLines lines(context, world);
  if (args.frames) replay.add(lines);
  std::optional<AnnotatedCapture> out;
  if (!args.out.empty()) {
    auto created = AnnotatedCapture::create(args.out, args.file, reader, world);
    if (!created) return report(context, created.error());
    out.emplace(std::move(*created));
    replay.add(*out);
  }
  if (args.frames && context.json) context.out << "{\"packets\":[";
  const ReplaySignals signals(out ? out->temporary() : "");
  auto done = run(context, reader, replay, signals);
  if (auto ended = world.finish(); done && !ended) done = tl::unexpected(ended.error());
  auto counters = world.counters();
  if (!counters) return report(context, counters.error());
  const ReplayOutcome outcome{.file = args.file,
                              .reader = reader,
                              .world = world,
                              .totals = replay.totals(),
                              .refused = refused,
                              .most_refused = args.refused,
                              .counters = std::move(*counters),
                              .error = done ? std::nullopt : std::optional(done.error())};
  const bool whole = done || !is_stopped(signals, reader);
  return finish(context, args, outcome, out && whole ? &*out : nullptr);
}

}  // namespace

int replay_run(Context& context, const ReplayArgs& args) {
  if (args.file == "-" && args.world.keys.file == "-") {
    return report(context, Error{"FILE and --key-file cannot both be standard input"});
  }
  auto reader = CaptureReader::open(args.file);
  if (!reader) return report(context, reader.error());
  auto world = open_world(context, args.world);
  if (!world) return report(context, world.error());
  return replay_reader(context, args, *reader, *world);
}

}  // namespace tfo
