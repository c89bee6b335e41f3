// SPDX-License-Identifier: BSD-2-Clause
// From an answer to what is said of the server, and tfod's half of it: whose key made a cookie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/audit/key_match.h"
#include "loader/audit/verdict.h"
#include "tests/support/golden_cookies.h"

namespace tfo::audit {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

Answer answered(Outcome outcome, size_t cookie = 0) {
  Answer answer;
  answer.outcome = outcome;
  answer.cookie.resize(cookie);
  answer.sent = 1;
  return answer;
}

Verdict of_place(tfo_place place) {
  return verdict_of(answered(Outcome::cookie, 8), KeyName{"1", "aa", place});
}

TEST(AuditVerdict, EveryOutcomeHasItsOwn) {
  EXPECT_EQ(of_place(TFO_PLACE_CURRENT), Verdict::current);
  EXPECT_EQ(of_place(TFO_PLACE_PREVIOUS), Verdict::previous);
  EXPECT_EQ(of_place(TFO_PLACE_STAGED), Verdict::staged);
  EXPECT_EQ(of_place(TFO_PLACE_RETIRED), Verdict::retired);
  EXPECT_EQ(of_place(TFO_PLACE_REVOKED), Verdict::revoked);
  EXPECT_EQ(verdict_of(answered(Outcome::cookie, 8), std::nullopt), Verdict::foreign);
  for (const size_t size : {4U, 6U, 10U, 16U}) {
    EXPECT_EQ(verdict_of(answered(Outcome::cookie, size), std::nullopt), Verdict::length);
  }
  EXPECT_EQ(verdict_of(answered(Outcome::no_cookie), std::nullopt), Verdict::off);
  EXPECT_EQ(verdict_of(answered(Outcome::closed), std::nullopt), Verdict::closed);
  EXPECT_EQ(verdict_of(answered(Outcome::unreachable), std::nullopt), Verdict::unreachable);
  EXPECT_EQ(verdict_of(answered(Outcome::silent), std::nullopt), Verdict::no_answer);
}

TEST(AuditVerdict, OnlyTheCurrentKeyIsInStep) {
  for (int i = 0; i <= static_cast<int>(Verdict::no_answer); i++) {
    const auto verdict = static_cast<Verdict>(i);
    EXPECT_EQ(is_in_step(verdict), verdict == Verdict::current);
    EXPECT_FALSE(to_string(verdict).empty());
    EXPECT_FALSE(is_stale(verdict, false));
    const bool old =
        verdict == Verdict::previous || verdict == Verdict::retired || verdict == Verdict::revoked;
    EXPECT_EQ(is_stale(verdict, true), old) << to_string(verdict);
  }
}

TEST(AuditVerdict, StaleIsSaidOnlyBesideOneThatIsCurrent) {
  const Answer answer = answered(Outcome::cookie, 8);
  EXPECT_THAT(short_meaning(Verdict::previous, answer, true), HasSubstr("stale"));
  EXPECT_THAT(short_meaning(Verdict::previous, answer, false), HasSubstr("behind"));
  EXPECT_THAT(short_meaning(Verdict::staged, answer, true), HasSubstr("ahead"));
  EXPECT_EQ(short_meaning(Verdict::no_answer, answered(Outcome::silent), true), "1 SYN, no answer");
}

TEST(AuditVerdict, TheTwoReasonsOfAPrivateKeyAreBothNamed) {
  EXPECT_EQ(to_string(Verdict::foreign), "private");
  EXPECT_THAT(long_meaning(Verdict::foreign), HasSubstr("TCP_FASTOPEN_KEY"));
  EXPECT_THAT(long_meaning(Verdict::foreign), HasSubstr("tcp_fastopen_key"));
}

/// A ring of the golden cookies' keys, each once: current, previous, then retired.
KeyRing golden_ring() {
  KeyRing ring;
  for (const test::GoldenCookie& golden : test::kGoldenCookies) {
    const Key key = *Key::parse(golden.key);
    if (ring.find(key) != nullptr) continue;
    const size_t n = ring.generations.size();
    ring.generations.push_back({n + 1, key,
                                n == 0   ? TFO_PLACE_CURRENT
                                : n == 1 ? TFO_PLACE_PREVIOUS
                                         : TFO_PLACE_RETIRED});
  }
  return ring;
}

json question(const std::string& source, const std::string& destination,
              const std::string& cookie) {
  return {{"source", source}, {"destination", destination}, {"cookie", cookie}};
}

TEST(AuditKeyMatch, NamesTheGenerationThatMadeACookie) {
  const KeyRing ring = golden_ring();
  json request = {{"cookies", json::array()}};
  for (const test::GoldenCookie& golden : test::kGoldenCookies) {
    request["cookies"].push_back(question(golden.source, golden.destination, golden.cookie));
  }
  request["cookies"].push_back(question("192.0.2.1", "192.168.0.1", "3021b9d889017eec"));
  const auto reply = answer_key_match("web", ring, request);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ((*reply)["pool"], "web");
  EXPECT_EQ((*reply)["phase"], "steady");
  EXPECT_EQ((*reply)["generations"].size(), ring.generations.size());
  for (size_t i = 0; i < test::kGoldenCookies.size(); i++) {
    const Generation* maker = ring.find(*Key::parse(test::kGoldenCookies[i].key));
    ASSERT_NE(maker, nullptr);
    EXPECT_EQ((*reply)["makers"][i]["id"], id_text(maker->id)) << i;
    EXPECT_EQ((*reply)["makers"][i]["fingerprint"], maker->key.fingerprint());
    EXPECT_EQ((*reply)["makers"][i]["place"], std::string(tfo::to_string(maker->place)));
  }
  EXPECT_TRUE((*reply)["makers"].back().is_null());
  for (const test::GoldenCookie& golden : test::kGoldenCookies) {
    EXPECT_EQ(reply->dump().find(golden.key), std::string::npos);
  }
}

TEST(AuditKeyMatch, RefusesWhatIsNoQuestion) {
  const KeyRing ring = golden_ring();
  const json good = question("192.0.2.1", "192.168.0.1", "3021b9d889017eeb");
  EXPECT_TRUE(answer_key_match("web", ring, {{"cookies", {good}}}));
  EXPECT_TRUE(answer_key_match("web", ring, {{"cookies", json::array()}}));
  EXPECT_FALSE(answer_key_match("web", ring, json::object()));
  EXPECT_FALSE(answer_key_match("web", ring, {{"cookies", "3021b9d889017eeb"}}));
  for (const json& wrong :
       {json(7), question("192.0.2.1", "2001:db8::1", "3021b9d889017eeb"),
        question("", "192.168.0.1", "3021b9d889017eeb"), question("192.0.2.1", "192.168.0.1", ""),
        question("192.0.2.1", "192.168.0.1", "3021b9d889017ee"),
        question("192.0.2.1", "192.168.0.1", "3021b9d889017eeg"),
        question("192.0.2.1", "192.168.0.1", "3021b9d889017eeb00")}) {
    EXPECT_FALSE(answer_key_match("web", ring, {{"cookies", {good, wrong}}})) << wrong;
  }
}

TEST(AuditAddress, ReadsEveryFormAndWritesItBack) {
  const auto v4 = parse_endpoint("192.0.2.1");
  ASSERT_TRUE(v4);
  EXPECT_EQ(to_string(v4->address), "192.0.2.1");
  EXPECT_FALSE(v4->port);
  EXPECT_EQ(parse_endpoint("192.0.2.1:443")->port, 443);
  EXPECT_EQ(to_string(parse_endpoint("2001:db8::1")->address), "2001:db8::1");
  EXPECT_FALSE(parse_endpoint("2001:db8::1")->port);
  EXPECT_FALSE(parse_endpoint("[2001:db8::1]")->port);
  EXPECT_EQ(parse_endpoint("[2001:db8::1]:65535")->port, 65535);
  EXPECT_EQ(to_string(parse_endpoint("[fe80::1%lo]:1")->address), "fe80::1%lo");
  for (const char* wrong :
       {"", "web", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:4x", "[2001:db8::1",
        "[2001:db8::1]443", "[2001:db8::1]:", "192.0.2.1%lo", "fe80::1", "fe80::1%nosuchdevice",
        "[]:443", ":443", "192.0.2"}) {
    EXPECT_FALSE(parse_endpoint(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace tfo::audit
