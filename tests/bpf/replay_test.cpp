// SPDX-License-Identifier: BSD-2-Clause
// A capture's frames get the verdict of the same frames on the wire: in every link type, cut short
// anywhere, on the capture's clock.
#include "loader/replay/replay.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/cases.h"
#include "tests/support/corpus.h"
#include "tests/support/outcome.h"
#include "tests/support/replay_judge.h"

namespace tfo::test {
namespace {

constexpr size_t kEthernet = 14;

/// The worlds of all interface kinds, loaded once.
class Worlds {
 public:
  ReplayWorld& with(uint8_t decap) {
    auto found = worlds_.find(decap);
    if (found == worlds_.end()) {
      auto world = replay_world(case_world(), decap);
      if (!world) throw std::runtime_error(world.error().message);
      found = worlds_.emplace(decap, std::move(*world)).first;
    }
    return found->second;
  }

 private:
  std::map<uint8_t, ReplayWorld> worlds_;
};

/// Frames of Ethernet interfaces in link type `link`, and what the table says of them.
struct Expected {
  std::vector<Bytes> frames;
  std::vector<const Case*> cases;
};

/// All headers lie before the last byte.
bool has_payload(const Bytes& frame, ReplayWorld& world) {
  const EthernetFrame whole{.bytes = frame, .wire_length = static_cast<uint32_t>(frame.size())};
  const tfo_packet packet = describe(whole, world.hook("").config()).packet;
  return packet.tcp != 0 && packet.tcp + packet.header_len < frame.size();
}

Cases all_cases() {
  Cases all;
  for (const CaseTable& table : kCaseTables) {
    for (Case& c : table.make()) all.push_back(std::move(c));
  }
  return all;
}

TEST(ReplayedCases, HaveTheVerdictOfTheWireInEveryLinkType) {
  Worlds worlds;
  const Cases cases = all_cases();
  for (const uint32_t link : {kLinkEthernet, kLinkRaw, kLinkCooked, kLinkCooked2}) {
    std::map<uint8_t, Expected> by_decap;
    for (const Case& c : cases) {
      const Bytes frame = c.packet.frame();
      // A raw frame has no tags, a frame of an L3 device no link header.
      if (c.packet.link.present != (link != kLinkRaw)) continue;
      if (c.packet.link.present && frame.size() < kEthernet) continue;
      Expected& expected = by_decap[c.decap];
      expected.frames.push_back(link == kLinkRaw ? frame : relinked(frame, link));
      expected.cases.push_back(&c);
    }
    for (auto& [decap, expected] : by_decap) {
      const ReplayRun run = replay_file(capture_of(expected.frames, link), worlds.with(decap));
      ASSERT_EQ(run.error, "");
      ASSERT_EQ(run.frames.size(), expected.frames.size());
      for (size_t i = 0; i < run.frames.size(); i++) {
        EXPECT_EQ(to_string(run.frames[i]), to_string(expected.cases[i]->want))
            << "link type " << link << '\n'
            << case_text(*expected.cases[i]);
      }
    }
  }
}

/// The bytes that a capture left out never change a verdict: without what it needs a frame is
/// skipped, and as long as it has its headers it is not.
TEST(ReplayedCases, AreSkippedOrRightWhenCutAnywhere) {
  Worlds worlds;
  for (const Case& c : all_cases()) {
    if (!c.packet.link.present) continue;
    const Bytes whole = c.packet.frame();
    if (whole.size() < kEthernet || whole.size() > 400) continue;
    std::vector<Bytes> frames;
    frames.reserve(whole.size());
    for (size_t length = 0; length < whole.size(); length++) {
      frames.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    }
    const std::vector<uint32_t> wire(frames.size(), static_cast<uint32_t>(whole.size()));
    const ReplayRun run =
        replay_file(capture_of(frames, kLinkEthernet, wire), worlds.with(c.decap));
    ASSERT_EQ(run.error, "");
    ASSERT_EQ(run.frames.size(), frames.size());
    bool judged = false;
    for (size_t length = 0; length < run.frames.size(); length++) {
      const std::string text = to_string(run.frames[length]);
      if (std::holds_alternative<Skip>(run.frames[length])) {
        EXPECT_EQ(text, "skipped cut") << length << '\n' << case_text(c);
        EXPECT_FALSE(judged) << "more bytes, less said: " << length << '\n' << case_text(c);
      } else {
        judged = true;
        EXPECT_EQ(text, to_string(c.want)) << "cut at " << length << '\n' << case_text(c);
      }
    }
    if (has_payload(whole, worlds.with(c.decap))) {
      EXPECT_TRUE(judged) << case_text(c);
    }
  }
}

TEST(Replay, JudgesTheCorpusAsTheReferenceDoes) {
  Worlds worlds;
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Corpus corpus(seed);
  std::map<std::pair<bool, uint8_t>, std::vector<Bytes>> groups;
  const size_t count = corpus_count(20'000);
  for (size_t i = 0; i < count; i++) {
    const Sample sample = corpus.next();
    if (sample.frame.size() >= kEthernet) {
      groups[{sample.l3, sample.decap}].push_back(sample.frame);
    }
  }
  size_t judged = 0;
  for (const auto& [kind, frames] : groups) {
    World world = case_world();
    world.l3 = kind.first;
    world.decap = kind.second;
    const uint32_t link = kind.first ? kLinkRaw : kLinkEthernet;
    const ReplayRun run = replay_file(capture_of(frames, link), worlds.with(kind.second));
    ASSERT_EQ(run.error, "");
    ASSERT_EQ(run.frames.size(), frames.size());
    for (size_t i = 0; i < frames.size(); i++, judged++) {
      const Verdict want = comparable(reference_verdict(frames[i], world));
      ASSERT_EQ(to_string(run.frames[i]), to_string(want)) << hex_dump(frames[i]);
    }
  }
  EXPECT_GT(judged, count * 9 / 10);
}

std::vector<std::string> texts_of(const ReplayRun& run) {
  std::vector<std::string> texts;
  texts.reserve(run.frames.size());
  for (const Replayed& frame : run.frames) texts.push_back(to_string(frame));
  return texts;
}

/// A frame with a cookie under the current key, at these times (unix ns).
Bytes timed_capture(const std::vector<uint64_t>& times) {
  Packet syn = web_syn(kSides[0]);
  const Bytes frame = syn.option(fast_open(cookie_of(kCurrentKey, syn))).frame();
  PcapngBuilder builder;
  builder.section(std::endian::little).interface({.resolution = uint8_t{9}});
  for (const uint64_t time : times) builder.packet({.stamp = time, .bytes = frame});
  return builder.build().file;
}

std::vector<std::string> reasons_at(const std::vector<uint64_t>& times, ReplayTotals* totals) {
  World world = case_world();
  world.pools[0] = {{kCurrentKey, TFO_PLACE_CURRENT, kReplayStamp}};
  auto loaded = replay_world(world);
  if (!loaded) return {loaded.error().message};
  const ReplayRun run = replay_file(timed_capture(times), *loaded);
  if (totals != nullptr) *totals = run.totals;
  return texts_of(run);
}

TEST(ReplayClock, IsTheCaptures) {
  const std::string valid = "cookie_current option=34 data=0 slot=1";
  const std::string expired = "no_key option=34 data=0 slot=1";
  ReplayTotals totals;
  EXPECT_EQ(reasons_at({kReplayStamp - 1, kReplayStamp, kReplayStamp + 1}, &totals),
            (std::vector{valid, valid, expired}));
  EXPECT_EQ(totals.steps_back, 0U);
  EXPECT_EQ(totals.times.value_or(TimeSpan{}).first_ns, kReplayStamp - 1);
  EXPECT_EQ(totals.times.value_or(TimeSpan{}).last_ns, kReplayStamp + 1);
}

TEST(ReplayClock, HoldsOnASmallStepBackAndFollowsALargeOne) {
  const std::string valid = "cookie_current option=34 data=0 slot=1";
  const std::string expired = "no_key option=34 data=0 slot=1";
  ReplayTotals totals;
  // Half a second back: frames of another interface, written late.
  EXPECT_EQ(reasons_at({kReplayStamp + 1, kReplayStamp - 500'000'000}, &totals),
            (std::vector{expired, expired}));
  EXPECT_EQ(totals.steps_back, 0U);
  EXPECT_EQ(reasons_at({kReplayStamp + 1, kReplayStamp - 2'000'000'000}, &totals),
            (std::vector{expired, valid}));
  EXPECT_EQ(totals.steps_back, 1U);
}

/// Not 1970: there a key that has expired would be valid again.
TEST(ReplayClock, StaysWhereAFrameHasNoStampAndBeginsWithThePresent) {
  const std::string valid = "cookie_current option=34 data=0 slot=1";
  const std::string expired = "no_key option=34 data=0 slot=1";
  ReplayTotals totals;
  EXPECT_EQ(reasons_at({kReplayStamp - 1, 0, kReplayStamp + 1, 0}, &totals),
            (std::vector{valid, valid, expired, expired}));
  EXPECT_EQ(totals.steps_back, 0U);
  EXPECT_EQ(totals.times.value_or(TimeSpan{}).first_ns, kReplayStamp - 1);
  EXPECT_EQ(reasons_at({0}, &totals), (std::vector{expired}));
  EXPECT_FALSE(totals.times);
}

TEST(ReplaySkips, AreCountedByTheirReason) {
  auto world = replay_world(case_world());
  ASSERT_OK(world);
  const Bytes syn = web_syn(kSides[0]).frame();
  PcapngBuilder builder;
  builder.section(std::endian::little)
      .interface({.link_type = kLinkEthernet})
      .interface({.link_type = 147})
      .interface({.link_type = kLinkCooked})
      .packet({.bytes = syn})
      .packet({.bytes = Bytes{}})
      .packet({.bytes = Bytes(13)})
      .packet({.bytes = Bytes(30), .wire = 60})
      .packet({.interface = 1, .bytes = syn})
      .packet({.bytes = Bytes(190'000)})
      .packet({.bytes = Bytes(64), .wire = 4'000'000'000})
      .packet({.interface = 2, .bytes = Bytes(15)});
  const ReplayRun run = replay_file(builder.build().file, *world);
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(texts_of(run), (std::vector<std::string>{
                               "plain option=none data=0 slot=1", "skipped short", "skipped short",
                               "not_tcp option=none data=0 slot=0", "skipped link_type",
                               "skipped long", "skipped long", "skipped short"}));
  EXPECT_EQ(run.totals.frames + run.totals.all_skipped(), run.totals.captured());
  EXPECT_EQ(run.totals.captured(), 8U);
}

TEST(ReplaySkips, OutgoingFramesOnDemandOnly) {
  auto world = replay_world(case_world());
  ASSERT_OK(world);
  const Bytes syn = web_syn(kSides[0]).frame();
  PcapngBuilder builder;
  builder.section(std::endian::little).interface({});
  for (const uint32_t flags : {0U, 1U, 2U}) builder.packet({.bytes = syn, .flags = flags});
  const Bytes file = builder.build().file;
  EXPECT_EQ(replay_file(file, *world).totals.frames, 3U);
  const ReplayRun run = replay_file(file, *world, {.incoming_only = true});
  EXPECT_EQ(run.totals.frames, 2U);
  EXPECT_EQ(to_string(run.frames.back()), "skipped outgoing");
}

}  // namespace
}  // namespace tfo::test
