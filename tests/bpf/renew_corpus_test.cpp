// SPDX-License-Identifier: BSD-2-Clause
// Random SYNs through the loaded program where everything that may be renewed is, and everything
// that may be demoted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/corpus.h"
#include "tests/support/host_core.h"
#include "tests/support/options.h"
#include "tests/support/reference_ip.h"
#include "tests/support/xdp_world.h"

namespace tfo::test::renew_corpus_test {
namespace {

constexpr size_t kSyns = 20'000;  // to VIPs
constexpr size_t kSynsInFull = 100'000;
constexpr uint64_t kLeastOfEach = 1000;

/// Every VIP enforces, every ring renews to its second key, or its only one.
World treating_world() {
  World world = case_world();
  for (WorldVip& vip : world.vips) {
    vip.mode = TFO_ENFORCE;
    vip.renew = true;
    vip.flags = TFO_VIP_POLICY;
    vip.policy.on_invalid = TFO_DEMOTE;
    vip.policy.on_truncated = TFO_DROP;
  }
  for (const auto& [pool, keys] : world.pools) {
    const auto target = static_cast<uint16_t>(keys.size() > 1 ? 1 : 0);
    world.renewals[pool] = {static_cast<uint16_t>(~(1U << target)), target, UINT64_MAX};
  }
  return world;
}

/// Where the kernel's parser ends with a TCP segment's options.
FastOpenState options_of(const TcpSegment& segment) {
  const size_t header = static_cast<size_t>(segment.bytes[12] >> 4) * 4;
  return reference_options(segment.bytes.subspan(20, header - 20));
}

/// 0xffff if the checksum is right; computed over all of the segment.
uint16_t full_sum(const TcpSegment& segment) {
  Bytes pseudo = join({segment.source, segment.destination, Bytes(8, 0)});
  put32(pseudo, pseudo.size() - 8, static_cast<uint32_t>(segment.bytes.size()));
  pseudo.back() = 6;
  const uint16_t sum = internet_checksum({pseudo, segment.bytes});
  return static_cast<uint16_t>(sum % 0xffff);
}

/// Offsets at which two frames of one length differ.
std::vector<size_t> differences(View before, View after) {
  std::vector<size_t> all;
  for (size_t i = 0; i < before.size(); i++) {
    if (before[i] != after[i]) all.push_back(i);
  }
  return all;
}

/// One treated frame: what the reference finds in it before and after.
class Treated {
 public:
  Treated(const World& world, const Bytes& before, const Treatment& got)
      : world_(world), before_(before), got_(got) {}

  void expect_sound() const {
    ASSERT_EQ(before_.size(), got_.left.size());
    const Found was = find_segment(before_, world_), is = find_segment(got_.left, world_);
    ASSERT_TRUE(was && is);
    EXPECT_EQ(full_sum(*was), full_sum(*is)) << "right before, right after, and as wrong";
    const FastOpenState from = options_of(*was), to = options_of(*is);
    ASSERT_EQ(from.kind, FastOpenState::kCookie);
    expect_near(*was, from);
    EXPECT_EQ(to.experimental, from.experimental);
    EXPECT_EQ(to.last_seen, from.last_seen);
    if (got_.action == TFO_DEMOTE) {
      EXPECT_EQ(to.kind, FastOpenState::kRequest);
      expect_nops(from);
    } else {
      ASSERT_EQ(to.kind, FastOpenState::kCookie);
      EXPECT_EQ(to.cookie.data() - got_.left.data(), from.cookie.data() - before_.data());
      expect_target();
    }
  }

 private:
  /// Nothing but the option's length, its cookie and the checksum differs.
  void expect_near(const TcpSegment& was, const FastOpenState& from) const {
    const auto checksum = static_cast<size_t>(was.bytes.data() - before_.data()) + 16;
    const auto cookie = static_cast<size_t>(from.cookie.data() - before_.data());
    const size_t length = cookie - (from.experimental ? 3 : 1);
    for (const size_t at : differences(before_, got_.left)) {
      const bool in_cookie = at >= cookie && at < cookie + from.cookie.size();
      const bool in_length = at == length && got_.action == TFO_DEMOTE;
      EXPECT_TRUE(in_cookie || in_length || at == checksum || at == checksum + 1) << at;
    }
  }

  void expect_nops(const FastOpenState& from) const {
    const auto at = static_cast<size_t>(from.cookie.data() - before_.data());
    const View now = View(got_.left).subspan(at, from.cookie.size());
    EXPECT_TRUE(std::ranges::all_of(now, [](uint8_t byte) { return byte == 1; }));
  }

  void expect_target() const {
    const Verdict then = reference_verdict(got_.left, world_);
    EXPECT_EQ(then.data, got_.verdict.data);
    EXPECT_EQ(then.slot, got_.verdict.slot);
    const uint16_t pool = std::ranges::find(world_.vips, then.slot, &WorldVip::slot)->pool;
    const tfo_place place = world_.pools.at(pool)[world_.renewals.at(pool).target].place;
    EXPECT_EQ(then.reason, place == TFO_PLACE_CURRENT    ? TFO_COOKIE_CURRENT
                           : place == TFO_PLACE_PREVIOUS ? TFO_COOKIE_PREVIOUS
                                                         : TFO_COOKIE_STAGED);
  }

  const World& world_;
  const Bytes& before_;
  const Treatment& got_;
};

void expect_as_reference(const World& world, const Bytes& before, const Treatment& got) {
  if (got.action == TFO_RENEW || got.action == TFO_DEMOTE) {
    Treated(world, before, got).expect_sound();
  } else {
    ASSERT_EQ(to_hex(got.left), to_hex(before));
  }
}

/// One core a kind of interface: it is slow to make.
class HostCores {
 public:
  explicit HostCores(World world) : world_(std::move(world)) {}
  HostCore& with(bool l3, uint8_t decap) {
    const auto found = cores_.find({l3, decap});
    if (found != cores_.end()) return found->second;
    world_.l3 = l3;
    world_.decap = decap;
    return cores_.emplace(std::pair(l3, decap), HostCore(world_)).first->second;
  }
  const World& world(bool l3, uint8_t decap) {
    world_.l3 = l3;
    world_.decap = decap;
    return world_;
  }

 private:
  World world_;
  std::map<std::pair<bool, uint8_t>, HostCore> cores_;
};

TEST(ProgramTreatsCorpus, AsTheCoreOnTheHostAndTheReferenceAcceptsIt) {
  const uint64_t seed = corpus_seed();
  const size_t usual = full() ? kSynsInFull : kSyns;
  const size_t syns = corpus_count(usual);
  fmt::print("TFO_CORPUS_SEED={} TFO_CORPUS_COUNT={}\n", seed, syns);
  Corpus corpus(seed);
  XdpWorlds worlds(treating_world());
  HostCores cores(treating_world());
  uint64_t done[TFO_ACTION_COUNT] = {};
  for (size_t to_vips = 0; to_vips < syns;) {
    const Sample sample = corpus.next();
    const auto xdp = worlds.with(sample.l3, sample.decap);
    ASSERT_TRUE(xdp) << xdp.error().message;
    const auto got = (*xdp)->treat(sample.frame);
    ASSERT_TRUE(got) << got.error().message << '\n' << sample_text(sample);
    const Treatment want = cores.with(sample.l3, sample.decap).act(sample.frame);
    ASSERT_EQ(got->action, want.action) << sample_text(sample);
    ASSERT_EQ(got->would, want.would) << sample_text(sample);
    ASSERT_EQ(got->left, want.left) << sample_text(sample);
    done[got->action]++;
    if (got->verdict.slot != TFO_NODE_SLOT) to_vips++;
    expect_as_reference(cores.world(sample.l3, sample.decap), sample.frame, *got);
    ASSERT_FALSE(HasFailure()) << sample_text(sample);
  }
  fmt::print("{} renewed, {} demoted, {} dropped\n", done[TFO_RENEW], done[TFO_DEMOTE],
             done[TFO_DROP]);
  for (const tfo_action action : {TFO_RENEW, TFO_DEMOTE}) {
    EXPECT_TRUE(syns < usual || done[action] >= kLeastOfEach) << done[action];
  }
}

}  // namespace
}  // namespace tfo::test::renew_corpus_test
