// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "loader/capture/link.h"
#include "loader/capture/reader.h"
#include "loader/replay/description.h"
#include "loader/replay/world.h"

namespace tfo {

/// Why a frame of a capture cannot be replayed.
enum class Skip : uint8_t {
  kLinkType,  // neither Ethernet, raw IP, nor Linux cooked
  kShort,     // shorter than its link header: no interface would have delivered it
  kCut,       // the capture left out headers that decide
  kLong,      // longer than the kernel takes in a test run
  kOutgoing,  // sent by the capturing host, and only incoming frames were asked for
};
inline constexpr size_t kSkips = 5;

/// "link_type", "short", "cut", "long", "outgoing"; and what it means.
std::string_view skip_label(Skip skip);
std::string_view skip_sentence(Skip skip);

/// One frame and what became of it. Valid during ReplaySink::take().
struct ReplayedFrame {
  const CapturedFrame& captured;
  std::optional<Skip> skipped;  // set: what follows says nothing
  Judgement judgement;
  const EthernetFrame* ethernet = nullptr;
  const tfo_load_config* config = nullptr;  // of the program that judged it
  std::span<const uint8_t> bytes;           // as captured, with the program's changes
};

/// Somebody who looks at every frame.
class ReplaySink {
 public:
  virtual ~ReplaySink() = default;
  virtual Result<> take(const ReplayedFrame& frame) = 0;
};

/// Earliest and latest stamp, unix time in ns.
struct TimeSpan {
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
};

struct ReplayTotals {
  uint64_t frames = 0;                     // replayed
  std::array<uint64_t, kSkips> skipped{};  // by Skip
  std::optional<TimeSpan> times;           // of the frames with a stamp, also of skipped ones
  uint64_t steps_back = 0;                 // stamps more than a second before the one ahead of them

  uint64_t all_skipped() const;
  uint64_t captured() const { return frames + all_skipped(); }
};

struct ReplayOptions {
  bool incoming_only = false;  // skip what the capture marks as outgoing
  bool rewritten = false;      // sinks want the frames as the program left them
  std::string interface{};     // stands for the capture's own interface names; empty: those
};

/// Sends every frame of a capture through the hook of its interface, in the order and on the clock
/// of the capture. All directions and, in later programs, all hooks of a node pass through here.
class Replay {
 public:
  Replay(CaptureReader& reader, ReplayWorld& world, ReplayOptions options)
      : reader_(&reader), world_(&world), options_(std::move(options)) {}

  void add(ReplaySink& sink) { sinks_.push_back(&sink); }

  /// Called every few thousand frames; false ends the replay early.
  using Progress = std::function<bool(const ReplayTotals&)>;

  /// Until the end of the capture. A failure names the place; what came before it was judged and
  /// is in totals().
  Result<> run(const Progress& progress);

  const ReplayTotals& totals() const { return totals_; }

 private:
  Result<> take(const CapturedFrame& captured);
  std::optional<Skip> prepare(const CapturedFrame& captured, EthernetFrame& frame);
  Result<> skip(const CapturedFrame& captured, Skip why);
  Result<> show(const ReplayedFrame& frame);
  ReplayHook& hook_of(uint32_t interface);
  Result<> note_time(const CapturedFrame& captured);

  CaptureReader* reader_;
  ReplayWorld* world_;
  ReplayOptions options_;
  std::vector<ReplaySink*> sinks_;
  std::vector<ReplayHook*> hooks_;  // by interface of the capture
  LinkShaper shaper_;
  std::vector<uint8_t> out_;
  ReplayTotals totals_;
};

}  // namespace tfo
