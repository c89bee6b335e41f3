// SPDX-License-Identifier: BSD-2-Clause
// Renewal in `tfoctl replay` and `tfoctl explain`: what they do with a configuration that asks for
// it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "loader/keys/keyring_file.h"
#include "tests/support/capture_read.h"
#include "tests/support/cases.h"
#include "tests/support/replay_judge.h"
#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

using nlohmann::json;

/// A keyring in steady state: current, previous, two retired ones.
class ReplayRenews : public testing::Test {
 protected:
  void SetUp() override {
    RotationState state;
    state.ring.revision = 1;
    for (const auto& [key, place] : {std::pair{kCurrentKey, TFO_PLACE_CURRENT},
                                     {kPreviousKey, TFO_PLACE_PREVIOUS},
                                     {kRetiredKey, TFO_PLACE_RETIRED},
                                     {kOlderKey, TFO_PLACE_RETIRED}}) {
      Generation generation;
      generation.id = state.ring.generations.size() + 1;
      generation.key = Key::parse(key).value();
      generation.place = place;
      generation.created_at = 1;
      state.ring.generations.push_back(generation);
    }
    KeyringFile keys(directory_.file("web.keys"));
    ASSERT_TRUE(keys.lock());
    ASSERT_TRUE(keys.save(state));
  }

  std::string config(const std::string& wishes) const {
    const std::string text = fmt::format(
        R"({{"interfaces": [{{"name": "eth0"}}], "pools": {{"web": {{"file": "{}"}}}},
            "vips": [{{"name": "web", "addresses": ["10.88.0.1", "fd88::1"], "ports": [443],
                       "pool": "web"{}}}]}})",
        directory_.file("web.keys"), wishes);
    return directory_.write("tfod.json", Bytes(text.begin(), text.end()));
  }

  static Packet syn(const Side& side, const char* key) {
    Packet packet = web_syn(side);
    return packet.option(fast_open(cookie_of(key, packet))).data(7);
  }

  /// Each family: current, previous, retired, older.
  static std::vector<Bytes> frames(const std::vector<const char*>& keys) {
    std::vector<Bytes> all;
    for (const Side& side : kSides) {
      for (const char* key : keys) all.push_back(syn(side, key).frame());
    }
    return all;
  }

  std::string capture() const {
    return directory_.write(
        "syns.pcapng",
        capture_of(frames({kCurrentKey, kPreviousKey, kRetiredKey, kOlderKey}), kLinkEthernet));
  }

  static std::string fingerprint(const char* key) { return Key::parse(key).value().fingerprint(); }

  static json explained(const Ran& ran) {
    EXPECT_EQ(ran.code, 0) << ran.err;
    return json::parse(ran.out);
  }

  CaptureDirectory directory_;
};

constexpr const char* kEnforce = R"(, "mode": "enforce", "renew": true)";
constexpr const char* kObserve = R"(, "mode": "observe", "renew": true)";

TEST_F(ReplayRenews, WhatTheConfigurationAsksFor) {
  struct Asked {
    const char* wishes;
    int done, would;
  };
  for (const Asked& asked : {Asked{kEnforce, 4, 4}, Asked{kObserve, 0, 4}, Asked{"", 0, 0},
                             Asked{R"(, "mode": "enforce")", 0, 0}}) {
    const Ran ran = run_tfoctl({"-j", "replay", capture(), "--config", config(asked.wishes)});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const json document = json::parse(ran.out);
    EXPECT_EQ(document["frames"], 8);
    EXPECT_EQ(document["reasons"]["cookie_retired"], 4);
    EXPECT_EQ(document["actions"]["renew"], asked.done) << asked.wishes;
    EXPECT_EQ(document["actions"]["pass"], 8 - asked.done) << asked.wishes;
    EXPECT_EQ(document["would"]["renew"], asked.would) << asked.wishes;
    EXPECT_EQ(document["vips"][0]["actions"]["renew"], asked.done) << asked.wishes;
    EXPECT_EQ(document["vips"][0]["would"]["renew"], asked.would) << asked.wishes;
  }
}

TEST_F(ReplayRenews, TheCopyHasTheRewrittenFramesWithTheirVerdict) {
  const std::string out = directory_.file("out.pcapng");
  const Ran ran = run_tfoctl(
      {"-j", "replay", capture(), "--config", config(kEnforce), "--frames", "--out", out});
  ASSERT_EQ(ran.code, 0) << ran.err;
  auto reader = CaptureReader::open(out);
  ASSERT_TRUE(reader) << reader.error().message;
  const ReadCapture copy = read_to_end(std::move(*reader), 1 << 20);
  const auto wanted = frames({kCurrentKey, kPreviousKey, kPreviousKey, kPreviousKey});
  ASSERT_EQ(copy.frames.size(), wanted.size());
  const json packets = json::parse(ran.out)["packets"];
  for (size_t i = 0; i < wanted.size(); i++) {
    EXPECT_EQ(to_hex(copy.frames[i].bytes), to_hex(wanted[i])) << i;
    const char* verdict = i % 4 < 2 ? "pass" : "renew";
    EXPECT_EQ(packets[i]["verdict"], verdict) << i;
    EXPECT_EQ(packets[i]["would"], verdict) << i;
  }
}

TEST_F(ReplayRenews, LinesSayWhatWasDoneAndWhatWouldBe) {
  const auto lines = [&](const char* wishes) {
    return run_tfoctl({"replay", capture(), "--config", config(wishes), "--frames"}).out;
  };
  EXPECT_NE(lines(kEnforce).find("cookie_retired option=34 data=1 vip=web  renew\n"),
            std::string::npos);
  EXPECT_NE(lines(kObserve).find("cookie_retired option=34 data=1 vip=web  pass would=renew\n"),
            std::string::npos);
  EXPECT_NE(lines("").find("cookie_retired option=34 data=1 vip=web  pass\n"), std::string::npos);
}

TEST_F(ReplayRenews, ExplainSaysWhyAndToWhichKey) {
  const auto explain = [&](const char* key, const char* wishes) {
    const std::string hex = to_hex(syn(kSides[0], key).frame());
    return explained(run_tfoctl({"-j", "explain", "--hex", hex, "--config", config(wishes)}));
  };
  const std::string target = fmt::format("key 2 ({}, previous)", fingerprint(kPreviousKey));
  const auto expect_rule = [](const json& told, const std::string& part) {
    const auto rule = told["renewal"]["rule"].get<std::string>();
    EXPECT_NE(rule.find(part), std::string::npos) << rule;
    EXPECT_EQ(told["defect"], nullptr);
  };
  json told = explain(kRetiredKey, kEnforce);
  expect_rule(told, "it is rewritten to the cookie under " + target);
  EXPECT_EQ(told["renewal"]["target"], fingerprint(kPreviousKey));
  EXPECT_EQ(told["verdict"], "renew");
  EXPECT_EQ(told["servers"][0]["accepted"], true);
  EXPECT_EQ(told["servers"][0]["fresh_cookie"], true);

  told = explain(kRetiredKey, kObserve);
  expect_rule(told, "in mode enforce it would be rewritten to the cookie under " + target);
  EXPECT_EQ(told["verdict"], "pass");
  EXPECT_EQ(told["would"], "renew");
  EXPECT_EQ(told["servers"][0]["accepted"], false);

  expect_rule(explain(kRetiredKey, ""), "the VIP does not ask to renew");
  told = explain(kCurrentKey, kEnforce);
  expect_rule(told, "every server holds the key that made the cookie");
  EXPECT_EQ(told["renewal"]["target"], nullptr);
  EXPECT_EQ(explain(kStrangerKey, kEnforce)["renewal"], nullptr);
}

TEST_F(ReplayRenews, ExplainKnowsASignature) {
  const std::string hex =
      to_hex(syn(kSides[1], kRetiredKey).option(tcp_option(19, Bytes(16, 3))).frame());
  const Ran text = run_tfoctl({"explain", "--hex", hex, "--config", config(kEnforce)});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("Not renewed: a signature covers the segment"), std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("action: pass; in enforce mode: pass"), std::string::npos) << text.out;
}

}  // namespace
}  // namespace tfo::test
