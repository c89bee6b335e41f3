// SPDX-License-Identifier: BSD-2-Clause
// What `tfoctl explain` tells of a packet: it must be what the parser and the program decide, for
// the case tables and for random packets.
#include "loader/replay/explanation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "bpf/parse.h"
#include "tests/support/corpus.h"
#include "tests/support/explained.h"
#include "tests/support/host_core.h"

namespace tfo::test {
namespace {

constexpr size_t kPackets = 50'000;

/// As tfo_walk_options() and the reference have it, and every byte in exactly one place.
void expect_walk(View options) {
  const OptionWalk walk = walk_tcp_options(options);
  const uint8_t* end = options.data() + options.size();
  const auto length = static_cast<__u32>(options.size());
  ASSERT_EQ(walk.found, tfo_walk_options(options.data(), end, length)) << hex_dump(options);
  const FastOpenState reference = reference_options(options);
  const TcpOption* effective = walk.fast_open();
  ASSERT_EQ(effective != nullptr, reference.kind != FastOpenState::kNone) << hex_dump(options);
  if (effective != nullptr) {
    ASSERT_EQ(effective->offset, tfo_found_offset(walk.found));
    ASSERT_EQ(effective->kind, tfo_found_kind(walk.found));
    ASSERT_EQ(effective->effect == OptionEffect::kRequest,
              reference.kind == FastOpenState::kRequest);
  }
  const auto cookie = walk.cookie();
  ASSERT_TRUE(std::ranges::equal(cookie, reference.cookie)) << hex_dump(options);
  size_t covered = walk.rest.size();
  for (const TcpOption& option : walk.options) covered += option.bytes.size();
  ASSERT_EQ(covered, options.size()) << hex_dump(options);
}

TEST(OptionWalk, AgreesWithTheCoreOnRandomOptions) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Random random(seed);
  for (size_t i = 0; i < corpus_count(kPackets) && !testing::Test::HasFatalFailure(); i++) {
    Packet packet = web_syn(random.pick(kSides));
    expect_walk(random_options(random, packet));
    expect_walk(random.bytes(random.below(41)));
  }
}

/// Options are the bytes that decide: few values, at every length.
TEST(OptionWalk, AgreesWithTheCoreOnDenseOptions) {
  Random random(corpus_seed());
  constexpr std::array<uint8_t, 10> kBytes = {0, 1, 2, 3, 4, 10, 34, 254, 0xf9, 0x89};
  for (size_t i = 0; i < corpus_count(kPackets) && !testing::Test::HasFatalFailure(); i++) {
    Bytes options(random.below(41));
    for (uint8_t& byte : options) byte = random.pick(kBytes);
    expect_walk(options);
  }
}

TEST(OptionWalk, TellsWhatBecomesOfEachOption) {
  const Bytes cookie(8, 0xaa);
  Bytes options = fast_open(cookie);                                   // 0, erased by 22
  for (const Bytes& more : {fast_open(Bytes(7)),                       // 10, odd
                            Bytes{1, 1, 1}, fast_open(Bytes(2)),       // 19..21, 22: illegal
                            fast_open_experimental(cookie), Bytes{0},  // 26: counts, 38: end
                            Bytes{9}}) {
    options.insert(options.end(), more.begin(), more.end());
  }
  const OptionWalk walk = walk_tcp_options(options);
  std::string text;
  for (const TcpOption& option : walk.options) {
    text += fmt::format("{} {}{}\n", option.offset, effect_label(option.effect),
                        option.undone_by ? fmt::format(" by {}", *option.undone_by) : "");
  }
  EXPECT_EQ(text,
            "0 cookie by 5\n10 odd\n19 none\n20 none\n21 none\n22 illegal\n26 cookie\n38 end\n");
  EXPECT_EQ(walk.effective, 6U);
  EXPECT_EQ(walk.rest.size(), 1U);
  EXPECT_EQ(option_name(*walk.fast_open()), "Fast Open (experimental), cookie of 8 bytes");
}

/// The headers as told are those that the parser saw, and each refusal has its rule.
void expect_headers(View bytes, const tfo_load_config& config) {
  const EthernetFrame frame{.bytes = bytes, .wire_length = static_cast<uint32_t>(bytes.size())};
  const Headers headers = walk_headers(frame, config);
  const tfo_frame core{
      .data = bytes.data(), .end = bytes.data() + bytes.size(), .context = nullptr};
  tfo_packet packet{};
  ASSERT_EQ(headers.parsed, tfo_parse(&core, &config, &packet)) << hex_dump(bytes);
  ASSERT_EQ(std::memcmp(&headers.packet, &packet, sizeof(packet)), 0) << hex_dump(bytes);
  ASSERT_EQ(headers.rule.empty(), headers.parsed == TFO_GO_ON) << hex_dump(bytes);
  if (packet.ip != 0) {
    ASSERT_EQ(std::ranges::count(headers.ip, packet.ip, &IpHeader::offset), 1) << hex_dump(bytes);
  }
  if (packet.tcp != 0 && packet.ip_end - packet.tcp >= TFO_TCP_MIN) {
    ASSERT_TRUE(headers.tcp) << hex_dump(bytes);
    ASSERT_EQ(headers.tcp->offset, packet.tcp);
    // Of a header that is not whole the parser does not ask how long it would be.
    if (packet.header_len != 0) {
      ASSERT_EQ(headers.tcp->length, packet.header_len);
    }
  }
  if (headers.parsed == TFO_GO_ON && packet.first_fragment == 0) {
    ASSERT_EQ(headers.ip.back().offset, packet.ip);
    ASSERT_EQ(headers.ip.back().end, packet.ip_end);
    ASSERT_EQ(headers.tcp->data != 0, packet.data != 0);
  }
}

TEST(HeaderWalk, AgreesWithTheParserOnRandomPackets) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Corpus corpus(seed);
  for (size_t i = 0; i < corpus_count(kPackets) && !testing::Test::HasFatalFailure(); i++) {
    const Sample sample = corpus.next();
    World world = case_world();
    world.decap = sample.decap;
    expect_headers(sample.frame, load_config_of(world));
  }
}

/// Cut anywhere: never read beyond, and either the same answer or "the capture left it out".
TEST(HeaderWalk, CutFramesAreToldOrGivenUp) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Corpus corpus(seed);
  Random random(seed);
  size_t given_up = 0;
  for (size_t i = 0; i < corpus_count(kPackets); i++) {
    const Sample sample = corpus.next();
    World world = case_world();
    world.decap = sample.decap;
    const Bytes part(
        sample.frame.begin(),
        sample.frame.begin() + static_cast<ptrdiff_t>(random.below(sample.frame.size() + 1)));
    const EthernetFrame whole{.bytes = sample.frame,
                              .wire_length = static_cast<uint32_t>(sample.frame.size())};
    const EthernetFrame cut{.bytes = part, .wire_length = whole.wire_length};
    const Headers all = walk_headers(whole, load_config_of(world));
    const Headers some = walk_headers(cut, load_config_of(world));
    if (some.parsed == TFO_INTERNAL_ERROR) {
      given_up++;
      ASSERT_NE(some.rule.find("left out"), std::string::npos) << some.rule;
    } else {
      ASSERT_EQ(some.parsed, all.parsed) << part.size() << " bytes of\n" << sample_text(sample);
      // Of a segment that is too short the flags may lie in the missing part.
      if (all.parsed == TFO_TRUNCATED && !some.tcp) {
        ASSERT_EQ(some.rule, "The IP packet ends within its TCP header");
        continue;
      }
      ASSERT_EQ(some.rule, all.rule) << part.size() << " bytes of\n" << sample_text(sample);
    }
  }
  EXPECT_GT(given_up, 0U);
}

TEST(Explanation, TheHostComesToTheReferencesReason) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Corpus corpus(seed);
  ReasonCounts counts;
  for (size_t i = 0; i < corpus_count(kPackets); i++) {
    const Sample sample = corpus.next();
    if (sample.l3) continue;
    World world = case_world();
    world.decap = sample.decap;
    const Verdict verdict = reference_verdict(sample.frame, world);
    const Explained told(sample.frame, verdict, world);
    counts.add(verdict.reason);
    ASSERT_FALSE(told->is_defect()) << to_string(verdict) << ", not " << told->host_reason << '\n'
                                    << sample_text(sample);
    ASSERT_FALSE(told->rule.empty()) << to_string(verdict);
    ASSERT_EQ(told->servers.empty(), verdict.slot == TFO_NODE_SLOT) << to_string(verdict);
  }
  fmt::print("{}", counts.text());
  EXPECT_TRUE(corpus_count(kPackets) < kPackets || counts.all_at_least(20)) << counts.text();
}

TEST(Explanation, TheHostComesToTheReasonOfEveryCase) {
  for (const CaseTable& table : kCaseTables) {
    for (const Case& c : table.make()) {
      if (!c.packet.link.present) continue;
      World world = case_world();
      world.decap = c.decap;
      const Explained told(c.packet.frame(), c.want, world);
      EXPECT_FALSE(told->is_defect()) << case_text(c) << told->host_reason;
      EXPECT_FALSE(told->rule.empty()) << case_text(c);
    }
  }
}

TEST(Explanation, EveryDifferenceIsADefect) {
  const World world = case_world();
  const Packet syn = web_syn(kSides[0]).option(fast_open());
  const Verdict right = vip(TFO_REQUEST, TFO_OPTION_34);
  EXPECT_FALSE(Explained(syn.frame(), right, world)->is_defect());
  for (int reason = 0; reason < TFO_REASON_COUNT; reason++) {
    if (reason == TFO_REQUEST) continue;
    const Verdict wrong = vip(static_cast<tfo_reason>(reason), TFO_OPTION_34);
    EXPECT_TRUE(Explained(syn.frame(), wrong, world)->is_defect()) << reason;
  }
}

std::string trials_text(const Explanation& explanation) {
  std::string text;
  for (const KeyTrial& key : explanation.keys) {
    text += fmt::format("{} {} {} {}\n", key.number, tfo::to_string(key.place),
                        slot_label(key.slot), key_result_label(key.result));
  }
  return text;
}

TEST(Explanation, KeysInTheOrderTheyAreTried) {
  const World world = case_world();
  Packet syn = web_syn(kSides[0]);
  syn.option(fast_open(cookie_of(kOlderKey, syn)));
  const Explained told(syn.frame(), vip(TFO_COOKIE_RETIRED, TFO_OPTION_34), world);
  EXPECT_EQ(trials_text(*told),
            "1 current primary no\n"
            "2 previous none no\n"
            "3 staged backup no\n"
            "4 retired none expired\n"
            "5 retired none no\n"
            "6 retired none match\n"
            "7 revoked none not_tried\n"
            "8 retired none not_tried\n");
  EXPECT_EQ(told->keys[5].fingerprint, Key(key_bytes(kOlderKey)).fingerprint());
  EXPECT_NE(told->rule.find("key 6"), std::string::npos) << told->rule;
}

/// Bare keys: all but the first are previous. What counts cookie_previous is not called refused.
TEST(Explanation, EveryPreviousKeyIsTheServersBackup) {
  World world = case_world();
  world.pools[0] = {{kCurrentKey, TFO_PLACE_CURRENT},
                    {kPreviousKey, TFO_PLACE_PREVIOUS},
                    {kOlderKey, TFO_PLACE_PREVIOUS}};
  Packet syn = web_syn(kSides[0]);
  syn.option(fast_open(cookie_of(kOlderKey, syn)));
  const Explained told(syn.frame(), vip(TFO_COOKIE_PREVIOUS, TFO_OPTION_34), world);
  EXPECT_EQ(trials_text(*told),
            "1 current primary no\n"
            "2 previous backup no\n"
            "3 previous backup match\n");
  ASSERT_EQ(told->servers.size(), 1U);
  EXPECT_TRUE(told->servers[0].accepted);
}

/// One key that was tried makes a cookie invalid, whatever has expired before and after it.
TEST(Explanation, ExpiredKeysDoNotHideThatOthersMissed) {
  World world = case_world();
  world.pools[0] = {{kExpiredKey, TFO_PLACE_CURRENT, 1},
                    {kPreviousKey, TFO_PLACE_PREVIOUS},
                    {kRetiredKey, TFO_PLACE_RETIRED, 1}};
  const Bytes frame = web_syn(kSides[0]).option(fast_open(Bytes(8, 0xee))).frame();
  const Explained told(frame, vip(TFO_COOKIE_INVALID, TFO_OPTION_34), world);
  EXPECT_FALSE(told->is_defect()) << told->host_reason;
  EXPECT_NE(told->rule.find("The only key that has not expired"), std::string::npos) << told->rule;
  world.pools[0][1].not_after_ns = 1;
  EXPECT_FALSE(Explained(frame, vip(TFO_NO_KEY, TFO_OPTION_34), world)->is_defect());
}

TEST(Explanation, NoKeyIsTriedWithoutACookieOfEightBytes) {
  const World world = case_world();
  const Bytes request = web_syn(kSides[0]).option(fast_open()).frame();
  const Bytes longer = web_syn(kSides[0]).option(fast_open(Bytes(16))).frame();
  EXPECT_TRUE(Explained(request, vip(TFO_REQUEST, TFO_OPTION_34), world)->keys.empty());
  EXPECT_TRUE(Explained(longer, vip(TFO_COOKIE_LENGTH, TFO_OPTION_34), world)->keys.empty());
}

}  // namespace
}  // namespace tfo::test
