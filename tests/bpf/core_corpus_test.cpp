// SPDX-License-Identifier: BSD-2-Clause
// Random packets through the loaded program, against the reference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/corpus.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

constexpr size_t kPackets = 20'000;
constexpr uint64_t kLeastOfEach = 100;

TEST(ProgramCorpus, ProgramAndReferenceAgree) {
  const uint64_t seed = corpus_seed();
  const size_t packets = corpus_count(kPackets);
  fmt::print("TFO_CORPUS_SEED={} TFO_CORPUS_COUNT={}\n", seed, packets);
  Corpus corpus(seed);
  XdpWorlds worlds(case_world());
  ReasonCounts counts;
  for (size_t i = 0; i < packets; i++) {
    const Sample sample = corpus.next();
    World world = case_world();
    world.l3 = sample.l3;
    world.decap = sample.decap;
    const Verdict want = reference_verdict(sample.frame, world);
    const auto xdp = worlds.with(sample.l3, sample.decap);
    ASSERT_TRUE(xdp) << xdp.error().message;
    const auto got = (*xdp)->run(sample.frame);
    ASSERT_TRUE(got) << got.error().message << "\npacket " << i << ": " << sample_text(sample);
    counts.add(want.reason);
    ASSERT_EQ(to_string(comparable(*got)), to_string(want))
        << "packet " << i << ": " << sample_text(sample);
  }
  fmt::print("{}", counts.text());
  EXPECT_TRUE(packets < kPackets || counts.all_at_least(kLeastOfEach)) << counts.text();
}

/// Tags and tunnels change nothing: the verdict of a packet is that of the packet inside.
TEST(ProgramCorpus, WrappedPacketsGetTheVerdictOfThePacketInside) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Random random(seed);
  XdpWorlds worlds(case_world());
  const auto bare = worlds.with(false, 0);
  const auto decap = worlds.with(false, TFO_DECAP_IPIP | TFO_DECAP_GUE);
  ASSERT_TRUE(bare && decap);
  for (int i = 0; i < 1000; i++) {
    const Side& side = random.pick(kSides);
    Packet packet = web_syn(side).data(random.below(3) * 20);
    packet.option(random_options(random, packet));
    const auto want = (*bare)->run(packet.frame());
    ASSERT_TRUE(want) << want.error().message;
    const std::vector<Packet> wrapped = {
        Packet(packet).tag(),
        Packet(packet).tag(kQinQ).tag(),
        Packet(packet).in_ip("192.0.2.1", "192.0.2.2"),
        Packet(packet).in_ip("2001:db8::1", "2001:db8::2"),
        Packet(packet).in_gue("192.0.2.1", "192.0.2.2", 0, static_cast<uint8_t>(random.below(32))),
        Packet(packet).in_gue("2001:db8::1", "2001:db8::2", 0),
        Packet(packet).in_gue("192.0.2.1", "192.0.2.2", 1).tag(),
        Packet(packet).in_gue("2001:db8::1", "2001:db8::2", 1),
    };
    for (const Packet& form : wrapped) {
      const auto got = (*decap)->run(form.frame());
      ASSERT_TRUE(got) << got.error().message;
      ASSERT_EQ(to_string(*got), to_string(*want)) << form.text();
    }
  }
}

}  // namespace
}  // namespace tfo::test
