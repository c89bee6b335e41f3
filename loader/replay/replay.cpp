// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/replay.h"

#include <algorithm>
#include <numeric>

#include "bpf/parse.h"

namespace tfo {
namespace {

constexpr uint64_t kProgressEvery = 8192;  // frames, a few milliseconds

struct SkipText {
  const char* label;
  const char* sentence;
};

constexpr std::array<SkipText, kSkips> kTexts = {{
    {"link_type", "a link type other than Ethernet, raw IP, Linux cooked and BSD loopback"},
    {"short", "shorter than its link header"},
    {"cut", "the capture left out headers that decide (a longer snap length keeps them)"},
    {"long", "longer than the kernel takes in a test run"},
    {"outgoing", "sent by the capturing host"},
}};

}  // namespace

std::string_view skip_label(Skip skip) { return kTexts[static_cast<size_t>(skip)].label; }
std::string_view skip_sentence(Skip skip) { return kTexts[static_cast<size_t>(skip)].sentence; }

uint64_t ReplayTotals::all_skipped() const {
  return std::accumulate(skipped.begin(), skipped.end(), uint64_t{0});
}

ReplayHook& Replay::hook_of(uint32_t interface) {
  while (hooks_.size() <= interface) {
    const std::string& name = reader_->interfaces()[hooks_.size()].name;
    hooks_.push_back(&world_->hook(options_.interface.empty() ? name : options_.interface));
  }
  return *hooks_[interface];
}

Result<> Replay::note_time(const CapturedFrame& captured) {
  const uint64_t time = captured.time_ns;
  const auto forward = world_->set_now(time);
  if (!forward) return tl::unexpected(forward.error());
  if (!*forward) totals_.steps_back++;
  if (time == 0) return {};
  const TimeSpan before = totals_.times.value_or(TimeSpan{time, time});
  totals_.times = {std::min(before.first_ns, time), std::max(before.last_ns, time)};
  return {};
}

std::optional<Skip> Replay::prepare(const CapturedFrame& captured, EthernetFrame& frame) {
  const uint32_t link_type = reader_->interfaces()[captured.interface].link_type;
  if (!LinkShaper::knows(link_type)) return Skip::kLinkType;
  frame = shaper_.shape(link_type, captured).value_or(EthernetFrame{});
  const bool cut = captured.bytes.size() < captured.wire_length;
  if (frame.wire_length < TFO_ETH_LEN) return cut ? Skip::kCut : Skip::kShort;
  if (options_.incoming_only && frame.direction == Direction::kOut) return Skip::kOutgoing;
  if (cut && describe(frame, hook_of(captured.interface).config()).cut) return Skip::kCut;
  return std::nullopt;
}

Result<> Replay::show(const ReplayedFrame& frame) {
  for (ReplaySink* sink : sinks_) {
    if (auto taken = sink->take(frame); !taken) return taken;
  }
  return {};
}

Result<> Replay::skip(const CapturedFrame& captured, Skip why) {
  totals_.skipped[static_cast<size_t>(why)]++;
  return show({.captured = captured, .skipped = why, .judgement = {}, .bytes = captured.bytes});
}

Result<> Replay::take(const CapturedFrame& captured) {
  if (auto noted = note_time(captured); !noted) return noted;
  EthernetFrame frame;
  if (const auto why = prepare(captured, frame)) return skip(captured, *why);
  ReplayHook& hook = hook_of(captured.interface);
  auto judged = hook.judge(frame, options_.rewritten ? &out_ : nullptr);
  if (!judged) {
    return tl::unexpected(std::move(judged).error().in("frame " + std::to_string(captured.number)));
  }
  const std::optional<Judgement>& judgement = *judged;
  if (!judgement) return skip(captured, Skip::kLong);
  totals_.frames++;
  ReplayedFrame replayed{.captured = captured,
                         .skipped = std::nullopt,
                         .judgement = *judgement,
                         .ethernet = &frame,
                         .config = &hook.config(),
                         .bytes = captured.bytes};
  if (options_.rewritten && judgement->rewritten()) {
    replayed.bytes = shaper_.restore(captured, frame, out_).first(captured.bytes.size());
  }
  return show(replayed);
}

Result<> Replay::run(const Progress& progress) {
  for (uint64_t count = 1;; count++) {
    auto next = reader_->next();
    if (!next) return tl::unexpected(std::move(next).error());
    const std::optional<CapturedFrame>& frame = *next;
    if (!frame) return {};
    if (auto taken = take(*frame); !taken) return taken;
    if (count % kProgressEvery == 0 && !progress(totals_)) return {};
  }
}

}  // namespace tfo
