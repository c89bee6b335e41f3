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
    {"link_type", "a link type other than Ethernet, raw IP and Linux cooked"},
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

void Replay::note_time(const CapturedFrame& captured) {
  const uint64_t time = captured.time_ns;
  totals_.first_ns = std::min(totals_.first_ns.value_or(time), time);
  totals_.last_ns = std::max(totals_.last_ns.value_or(time), time);
  if (!world_->set_now(time)) totals_.steps_back++;
}

std::optional<Skip> Replay::prepare(const CapturedFrame& captured,
                                    std::optional<EthernetFrame>& frame) {
  const uint32_t link_type = reader_->interfaces()[captured.interface].link_type;
  if (!LinkShaper::knows(link_type)) return Skip::kLinkType;
  frame = shaper_.shape(link_type, captured);
  const bool cut = captured.bytes.size() < captured.wire_length;
  if (!frame || frame->wire_length < TFO_ETH_LEN) return cut ? Skip::kCut : Skip::kShort;
  if (options_.incoming_only && frame->direction == Direction::kOut) return Skip::kOutgoing;
  if (cut && describe(*frame, hook_of(captured.interface).config()).cut) return Skip::kCut;
  return std::nullopt;
}

Result<> Replay::show(const ReplayedFrame& frame) {
  if (frame.skipped) {
    totals_.skipped[static_cast<size_t>(*frame.skipped)]++;
  } else {
    totals_.frames++;
  }
  for (ReplaySink* sink : sinks_) {
    if (auto taken = sink->take(frame); !taken) return taken;
  }
  return {};
}

Result<> Replay::take(const CapturedFrame& captured) {
  note_time(captured);
  std::optional<EthernetFrame> frame;
  ReplayedFrame replayed{.captured = captured,
                         .skipped = prepare(captured, frame),
                         .judgement = {},
                         .bytes = captured.bytes};
  if (replayed.skipped) return show(replayed);
  ReplayHook& hook = hook_of(captured.interface);
  auto judged = hook.judge(*frame, options_.rewritten ? &out_ : nullptr);
  if (!judged) {
    return tl::unexpected(std::move(judged).error().in("frame " + std::to_string(captured.number)));
  }
  if (!*judged) {
    replayed.skipped = Skip::kLong;
    return show(replayed);
  }
  replayed.judgement = **judged;
  replayed.ethernet = &*frame;
  replayed.config = &hook.config();
  if (options_.rewritten && replayed.judgement.rewritten()) {
    replayed.bytes = shaper_.restore(captured, *frame, out_).first(captured.bytes.size());
  }
  return show(replayed);
}

Result<> Replay::run(const Progress& progress) {
  for (uint64_t count = 1;; count++) {
    auto frame = reader_->next();
    if (!frame) return tl::unexpected(std::move(frame).error());
    if (!*frame) return {};
    if (auto taken = take(**frame); !taken) return taken;
    if (count % kProgressEvery == 0 && !progress(totals_)) return {};
  }
}

}  // namespace tfo
