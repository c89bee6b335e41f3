// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>

#include "tools/commands.h"
#include "tools/replay_report.h"
#include "tools/replay_sinks.h"
#include "tools/replay_world.h"

namespace tfo {

namespace {

using Clock = std::chrono::steady_clock;

std::atomic<bool> interrupted = false;

/// The first SIGINT ends the replay between two frames; the next one is deadly, as always.
class Interruptible {
 public:
  Interruptible() {
    interrupted = false;
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_);
  }
  ~Interruptible() { sigaction(SIGINT, &before_, nullptr); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  struct sigaction before_{};
};

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

/// Runs to the end of the capture. Of a pipe, SIGINT ends the writer, and what it still had is
/// read.
Result<> run(Context& context, const CaptureReader& reader, Replay& replay) {
  const Interruptible interruptible;
  ProgressLine progress(context.err, reader);
  auto done = replay.run([&](const ReplayTotals& totals) {
    progress.show(totals);
    return !interrupted || !reader.file_size();
  });
  if (done && interrupted && reader.file_size()) return fail("interrupted");
  return done;
}

void finish_frames(Context& context, const ReplayArgs& args, const ReplayOutcome& outcome) {
  if (!context.json) {
    if (args.frames) context.out << '\n';
    print_replay(context.out, outcome);
    return;
  }
  const std::string rest =
      replay_json(outcome).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  context.out << (args.frames ? "]," + rest.substr(1) : rest) << '\n';
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
  auto done = run(context, reader, replay);
  auto counters = world.counters();
  if (!counters) return report(context, counters.error());
  ReplayOutcome outcome{.file = args.file,
                        .reader = reader,
                        .world = world,
                        .totals = replay.totals(),
                        .refused = refused,
                        .most_refused = args.refused,
                        .counters = std::move(*counters),
                        .error = done ? std::nullopt : std::optional(done.error())};
  finish_frames(context, args, outcome);
  context.out << std::flush;
  if (out && (done || !interrupted)) {
    if (auto kept = out->commit(); !kept) return report(context, kept.error());
  }
  return done ? kExitOk : report(context, done.error());
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
