// SPDX-License-Identifier: BSD-2-Clause
// What explain says of the servers' answer, against what a live Linux 6.18 listener was seen to
// answer: raw SYNs, its SYN-ACKs, and /proc/net/netstat before and after. Keys: P first, B second.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/corpus.h"
#include "tests/support/explained.h"
#include "tests/support/live_effect.h"

namespace tfo::test {
namespace {

constexpr const char* kP = kCurrentKey;
constexpr const char* kB = kPreviousKey;
constexpr uint32_t kSlot = 1;
constexpr size_t kData = 20;

World two_keys() {
  World world;
  for (const Side& side : kSides) world.vips.push_back({Address::of(side.web), 443, kSlot, 0});
  world.pools[0] = {{kP, TFO_PLACE_CURRENT}, {kB, TFO_PLACE_PREVIOUS}};
  return world;
}

/// A SYN's options in the order of the packet: "P", "B" cookies, "bad" 8 wrong bytes, "req" a
/// request, "nN" a cookie of N bytes that begins with P's, each of kind 34 or, after "x", 254;
/// "eol" the end, "lie" kind 99 with length 0, "over" kind 99 beyond the header.
Bytes option_of(std::string word, const Packet& packet) {
  const bool experimental = word[0] == 'x';
  if (experimental) word = word.substr(1);
  Bytes cookie = cookie_of(word == "B" ? kB : kP, packet);
  if (word == "eol") return {0};
  if (word == "lie") return tcp_option_lie(99, 0, {});
  if (word == "over") return tcp_option_lie(99, 40, {});
  if (word == "bad") cookie = Bytes(8, 0xee);
  if (word == "req") cookie.clear();
  if (word[0] == 'n') cookie.resize(std::stoul(word.substr(1)), 0x55);
  return experimental ? fast_open_experimental(cookie) : fast_open(cookie);
}

struct Row {
  std::vector<std::string> options;
  bool data;
  const char* acknowledged;  // "SYN", "data"
  const char* cookie;        // option of the SYN-ACK: "none", "34", "254"
  std::string counters;      // without "TCPFastOpen"
};

std::string row_text(const Row& row) {
  std::string text = row.data ? "data:" : "no data:";
  for (const std::string& option : row.options) text += " " + option;
  return text;
}

std::string counters_text(const ServerAnswer& answer) {
  std::string text;
  for (const std::string counter : answer.counters) {
    text += (text.empty() ? "" : " ") + counter.substr(std::string("TCPFastOpen").size());
  }
  return text;
}

std::string mib_text(const TfoMib& mib) {
  std::string text;
  for (const auto& [count, name] : {std::pair{mib.request, "CookieReqd"},
                                    {mib.accepted, "Passive"},
                                    {mib.alternate, "PassiveAltKey"},
                                    {mib.refused, "PassiveFail"},
                                    {mib.overflow, "ListenOverflow"}}) {
    if (count != 0) text += (text.empty() ? "" : " ") + std::string(name);
  }
  return text;
}

void expect_row(const Row& row, const Side& side) {
  const World world = two_keys();
  Packet packet = web_syn(side);
  if (row.data) packet.data(kData);
  for (const std::string& option : row.options) packet.option(option_of(option, packet));
  const Bytes frame = packet.frame();
  const Explained told(frame, reference_verdict(frame, world), world);
  ASSERT_EQ(told->servers.size(), 1U) << row_text(row);
  const ServerAnswer& answer = told->servers[0];
  EXPECT_STREQ(answer.acks_data ? "data" : "SYN", row.acknowledged) << row_text(row);
  constexpr const char* kKinds[] = {"none", "34", "254"};
  EXPECT_STREQ(kKinds[answer.cookie], row.cookie) << row_text(row);
  EXPECT_EQ(counters_text(answer), row.counters) << row_text(row);
  EXPECT_EQ(answer.accepted, row.counters.starts_with("Passive") && row.counters != "PassiveFail")
      << row_text(row);
  EXPECT_EQ(answer.given, "");
}

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    for (const Side& side : kSides) expect_row(row, side);
  }
}

TEST(ServersAnswer, OneOption) {
  expect_rows({
      {{}, false, "SYN", "none", ""},
      {{}, true, "SYN", "none", ""},
      {{"req"}, false, "SYN", "34", "CookieReqd"},
      {{"req"}, true, "SYN", "34", "CookieReqd"},
      {{"xreq"}, false, "SYN", "254", "CookieReqd"},
      {{"xreq"}, true, "SYN", "254", "CookieReqd"},
      {{"P"}, true, "data", "none", "Passive"},
      {{"P"}, false, "SYN", "none", "Passive"},
      {{"xP"}, true, "data", "none", "Passive"},
      {{"xP"}, false, "SYN", "none", "Passive"},
      {{"B"}, true, "data", "34", "Passive PassiveAltKey"},
      {{"B"}, false, "SYN", "34", "Passive PassiveAltKey"},
      {{"xB"}, true, "data", "254", "Passive PassiveAltKey"},
      {{"xB"}, false, "SYN", "254", "Passive PassiveAltKey"},
      {{"bad"}, true, "SYN", "34", "PassiveFail"},
      {{"bad"}, false, "SYN", "34", "PassiveFail"},
      {{"xbad"}, true, "SYN", "254", "PassiveFail"},
      {{"xbad"}, false, "SYN", "254", "PassiveFail"},
  });
}

TEST(ServersAnswer, EveryCookieLength) {
  for (size_t length = 1; length <= 20; length++) {
    if (length == 8) continue;  // P itself
    const bool legal = length % 2 == 0 && length >= 4 && length <= 16;
    for (const bool data : {false, true}) {
      const std::string option = fmt::format("n{}", length);
      expect_rows(
          {{{option}, data, "SYN", legal ? "34" : "none", legal ? "PassiveFail" : ""},
           {{"x" + option}, data, "SYN", legal ? "254" : "none", legal ? "PassiveFail" : ""}});
    }
  }
}

TEST(ServersAnswer, SeveralOptions) {
  expect_rows({
      {{"req", "P"}, true, "data", "none", "Passive"},
      {{"P", "req"}, true, "SYN", "34", "CookieReqd"},
      {{"P", "bad"}, true, "SYN", "34", "PassiveFail"},
      {{"bad", "P"}, true, "data", "none", "Passive"},
      {{"B", "P"}, true, "data", "none", "Passive"},
      {{"n2", "P"}, true, "data", "none", "Passive"},
      {{"P", "n7"}, true, "data", "none", "Passive"},
      {{"P", "n2"}, true, "SYN", "none", ""},
      {{"P", "n18"}, true, "SYN", "none", ""},
      {{"P", "xP"}, true, "data", "none", "Passive"},
      {{"xP", "P"}, true, "data", "none", "Passive"},
      {{"P", "xreq"}, true, "SYN", "254", "CookieReqd"},
      {{"req", "xreq"}, true, "SYN", "254", "CookieReqd"},
      {{"eol", "P"}, true, "SYN", "none", ""},
      {{"lie", "P"}, true, "SYN", "none", ""},
      {{"over", "P"}, true, "SYN", "none", ""},
      {{"P", "over"}, true, "data", "none", "Passive"},
  });
}

/// The farm tier holds expected_effect() against a live kernel.
TEST(ServersAnswer, AgreesWithWhatALiveKernelIsHeldTo) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Corpus corpus(seed);
  const World world = case_world();
  std::set<tfo_reason> seen;
  for (size_t i = 0; i < corpus_count(50'000); i++) {
    const Sample sample = corpus.next();
    const Verdict verdict = reference_verdict(sample.frame, world);
    if (sample.l3 || verdict.slot != kSlot) continue;
    const Explained told(sample.frame, verdict, world);
    ASSERT_EQ(told->servers.size(), 1U);
    const ServerAnswer& answer = told->servers[0];
    const Effect effect = expected_effect(verdict.reason, TFO_PLACE_STAGED);
    ASSERT_EQ(counters_text(answer), mib_text(effect.mib)) << to_string(verdict);
    ASSERT_EQ(answer.acks_data, effect.takes_data && verdict.data) << to_string(verdict);
    ASSERT_EQ(answer.cookie != TFO_OPTION_NONE, effect.mints) << to_string(verdict);
    seen.insert(verdict.reason);
  }
  EXPECT_TRUE(corpus_count(50'000) < 50'000 || seen.size() == 11) << seen.size();
}

TEST(ServersAnswer, NotesOnWhatSomeKernelsDrop) {
  const auto notes = [](std::initializer_list<View> options) {
    return server_notes(walk_tcp_options(join(options))).size();
  };
  EXPECT_EQ(notes({fast_open(), Bytes{1, 1}}), 0U);
  EXPECT_EQ(notes({tcp_option(19, Bytes(16))}), 1U);
  EXPECT_EQ(notes({tcp_option(29, Bytes(14)), tcp_option(19, Bytes(16))}), 2U);
  EXPECT_EQ(notes({tcp_option_lie(19, 40, Bytes(1))}), 0U) << "3 bytes are left";
  EXPECT_EQ(notes({Bytes{99, 0}, Bytes(3)}), 1U) << "5 bytes are left";
  EXPECT_EQ(notes({Bytes{99, 0}, Bytes(2)}), 0U);
  EXPECT_EQ(notes({Bytes{0}, tcp_option(19, Bytes(16))}), 0U);
}

/// A cookie is for one pair of addresses: that of the other family's never matches.
TEST(ServersAnswer, CookieOfTheOtherFamily) {
  const World world = two_keys();
  Packet packet = web_syn(kSides[1]).data(kData);
  packet.option(fast_open(cookie_of(kP, web_syn(kSides[0]))));
  const Bytes frame = packet.frame();
  const Explained told(frame, reference_verdict(frame, world), world);
  ASSERT_EQ(told->servers.size(), 1U);
  EXPECT_EQ(counters_text(told->servers[0]), "PassiveFail");
  EXPECT_EQ(told->servers[0].cookie, TFO_OPTION_34);
}

/// The servers hold two keys: what any other key of the ring made, they refuse.
TEST(ServersAnswer, KeysThatAreInNoSlotOfTheServers) {
  const World world = case_world();  // current and staged are in the slots
  const struct {
    const char* key;
    const char* counters;
  } keys[] = {{kCurrentKey, "Passive"},      {kStagedKey, "Passive PassiveAltKey"},
              {kPreviousKey, "PassiveFail"}, {kRetiredKey, "PassiveFail"},
              {kRevokedKey, "PassiveFail"},  {kExpiredKey, "PassiveFail"}};
  for (const auto& [key, counters] : keys) {
    Packet packet = web_syn(kSides[0]).data(kData);
    packet.option(fast_open(cookie_of(key, packet)));
    const Bytes frame = packet.frame();
    const Explained told(frame, reference_verdict(frame, world), world);
    ASSERT_EQ(told->servers.size(), 1U) << key;
    EXPECT_EQ(counters_text(told->servers[0]), counters) << told->rule;
  }
}

TEST(ServersAnswer, WithoutAKeyEveryAnswerIsPossible) {
  World world = two_keys();
  world.pools[0] = {};
  Packet packet = web_syn(kSides[0]).data(kData);
  packet.option(fast_open(cookie_of(kP, packet)));
  const Bytes frame = packet.frame();
  const Explained told(frame, vip(TFO_NO_KEY, TFO_OPTION_34, true), world);
  ASSERT_FALSE(told->is_defect());
  ASSERT_EQ(told->servers.size(), 3U);
  EXPECT_EQ(counters_text(told->servers[0]), "Passive");
  EXPECT_EQ(counters_text(told->servers[1]), "Passive PassiveAltKey");
  EXPECT_EQ(counters_text(told->servers[2]), "PassiveFail");
  for (const ServerAnswer& answer : told->servers) EXPECT_NE(answer.given, "");
}

TEST(ServersAnswer, NoneButToASynForAVip) {
  const World world = two_keys();
  for (const Packet& packet :
       {web_syn(kSides[0]).flags(kAck), web_syn(kSides[0]).flags(kSyn | kAck),
        web_syn(kSides[0]).ports(40000, 81), web_syn(kSides[0]).ip_protocol(17)}) {
    const Bytes frame = packet.frame();
    EXPECT_TRUE(Explained(frame, reference_verdict(frame, world), world)->servers.empty())
        << packet.text();
  }
}

/// The answer is to what the program left of the packet.
TEST(ServersAnswer, ToAPacketThatTheProgramChanged) {
  const World world = two_keys();
  const Packet syn = web_syn(kSides[0]).data(kData);
  const Bytes frame = Packet(syn).option(fast_open(Bytes(8, 0xee))).frame();
  const Bytes demoted = Packet(syn).option(fast_open()).option(Bytes(8, 1)).frame();
  const Bytes renewed = Packet(syn).option(fast_open(cookie_of(kB, syn))).frame();
  const Verdict invalid = vip(TFO_COOKIE_INVALID, TFO_OPTION_34, true);
  const Explained as_request(frame, invalid, world, TFO_DEMOTE, demoted);
  ASSERT_EQ(as_request->servers.size(), 1U);
  EXPECT_EQ(counters_text(as_request->servers[0]), "CookieReqd");
  const Explained as_backup(frame, invalid, world, TFO_RENEW, renewed);
  ASSERT_EQ(as_backup->servers.size(), 1U);
  EXPECT_EQ(counters_text(as_backup->servers[0]), "Passive PassiveAltKey");
  EXPECT_TRUE(Explained(frame, invalid, world, TFO_DROP, frame)->servers.empty());
  EXPECT_EQ(as_request->host_reason, TFO_COOKIE_INVALID);
}

}  // namespace
}  // namespace tfo::test
