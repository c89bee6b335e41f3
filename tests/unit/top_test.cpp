// SPDX-License-Identifier: BSD-2-Clause
// What `tfoctl top` draws of an answer, on screens of any size, and what keys do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/fake_daemon.h"
#include "tools/terminal.h"
#include "tools/top_frame.h"

namespace tfo {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

json vip(const std::string& name, uint64_t good, uint64_t accepted) {
  return {{"name", name},
          {"mode", "enforce"},
          {"classes",
           {{"plain", 0}, {"asks", 0}, {"good", good}, {"old", 0}, {"bad", 0}, {"other", 0}}},
          {"actions", {{"pass", good}, {"renew", 0}, {"demote", 0}, {"drop", 0}}},
          {"handshakes", {{"accepted", accepted}}},
          {"load", 3},
          {"limit", 256},
          {"guarded", 0}};
}

/// An answer of a tfod after so many seconds, with VIPs that get 10 and 20 SYNs a second.
json answer(int64_t seconds) {
  const auto count = static_cast<uint64_t>(seconds);
  return {
      {"node", "lb1"},
      {"instance", "default"},
      {"version", "1.2.3"},
      {"uptime_s", seconds},
      {"now", 1'700'000'000 + seconds},
      {"taken_ns", seconds * 1'000'000'000},
      {"verdict",
       {{"health", "works"},
        {"headline", "Fast Open works"},
        {"reason", "5 of the last minute's 5 cookies are good."},
        {"findings", json::array()}}},
      {"totals",
       {{"classes", {{"good", 30 * count}}},
        {"handshakes", {{"accepted", 15 * count}}},
        {"unsolicited", 0}}},
      {"minute", {{"seconds", 0}}},
      {"saved",
       {{"measured", true}, {"round_trips", 15}, {"saved_ms", 1500}, {"handshake_ms", 100}}},
      {"vips", {vip("alpha", 10 * count, 5 * count), vip("beta", 20 * count, 10 * count)}},
      {"guarded", {{"guarded", json::array()}, {"guarded_total", 0}}},
      {"alerts", {{"alerts", json::array()}}},
      {"pools",
       {{{"name", "web"},
         {"state", "steady"},
         {"ring",
          {{{"place", "current"}, {"fingerprint", "aabbccdd"}, {"created_at", 1'700'000'000}}}}}}}};
}

std::string screen(const TopState& state, TopSize size, const json& before = answer(10)) {
  std::string text;
  for (const Line& line : top_frame(answer(12), before, state, size)) {
    text += text_of_line(line, false) + "\n";
  }
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TEST(Top, RatesAreOfTwoReadings) {
  const std::string text = screen({}, {.columns = 80, .rows = 24});
  EXPECT_THAT(text, HasSubstr("Fast Open works: 5 of the last minute's 5 cookies are good."));
  EXPECT_THAT(text, HasSubstr("SYNs/s     30  good 30"));
  EXPECT_THAT(text, HasSubstr("15/s  15 round trips in all, 1500 ms (100 ms each)"));
  EXPECT_THAT(text, HasSubstr("pool web   steady  current aabbccdd 12s"));
  EXPECT_THAT(text, ::testing::ContainsRegex("beta +20 +20 +0"));
  EXPECT_LT(text.find("beta "), text.find("alpha ")) << "the busiest first";
  EXPECT_THAT(screen({}, {.columns = 80, .rows = 24}, nullptr),
              ::testing::ContainsRegex("alpha +- +-"));
}

TEST(Top, FitsEveryScreen) {
  for (size_t columns = 1; columns < 140; columns += 7) {
    for (size_t rows = 1; rows < 60; ++rows) {
      const auto lines = lines_of(screen({}, {.columns = columns, .rows = rows}));
      EXPECT_EQ(lines.size(), rows) << columns;
      for (const std::string& line : lines) EXPECT_LE(line.size(), columns);
    }
  }
}

TEST(Top, KeysChooseTableAndOrder) {
  TopState state;
  const json now = answer(12);
  EXPECT_TRUE(state.press("<", now));
  EXPECT_EQ(state.sorts[0].column, 0U);
  std::string text = screen(state, {});
  EXPECT_LT(text.find("\nalpha "), text.find("\nbeta "));
  state.press("r", now);
  text = screen(state, {});
  EXPECT_GT(text.find("\nalpha "), text.find("\nbeta "));
  state.press("<", now);
  EXPECT_THAT(screen(state, {.columns = 132, .rows = 24}), HasSubstr("limit*"));
  state.press("tab", now);
  EXPECT_THAT(screen(state, {}), HasSubstr("no client network is over its limit"));
  state.press("3", now);
  EXPECT_THAT(screen(state, {}), HasSubstr("no alert is raised"));
  state.press("9", now);
  EXPECT_EQ(state.table, 2U);
  EXPECT_FALSE(state.press("q", now));
}

TEST(Top, RowsThatDoNotFitAreReachedAndCounted) {
  TopState state;
  json now = answer(12);
  for (int i = 0; i < 50; ++i) now["vips"].push_back(vip("more" + std::to_string(i), 1, 0));
  for (int i = 0; i < 60; ++i) state.press("down", now);
  EXPECT_EQ(state.from, 51U);
  for (int i = 0; i < 9; ++i) state.press("pageup", now);
  EXPECT_EQ(state.from, 0U);
  std::string text;
  for (const Line& line : top_frame(now, nullptr, state, {.columns = 80, .rows = 24})) {
    text += text_of_line(line, false) + "\n";
  }
  EXPECT_THAT(text, HasSubstr("more rows: arrows scroll"));
}

TEST(Top, NothingThatIsSaidMovesTheCursor) {
  json now = answer(12);
  now["node"] = "\033[2Jevil\x9b\xc2\x9b";
  now["vips"][0]["name"] = "a\rb\nc\033]0;x\007";
  for (const Line& line : top_frame(now, nullptr, {}, {})) {
    for (const char c : text_of_line(line, false)) EXPECT_TRUE(c >= ' ' && c < 0x7f) << int{c};
  }
}

TEST(Top, AnAnswerThatLacksEverythingIsNoEnd) {
  for (const json& odd :
       {json(nullptr), json::object(), json::array({1}),
        json{{"vips", 5}, {"verdict", "x"}, {"pools", {1, "a"}}, {"saved", {}}}}) {
    for (size_t table = 0; table < kTopTables; ++table) {
      EXPECT_EQ(top_frame(odd, odd, {.table = table}, {}).size(), 24U);
    }
  }
}

TEST(Top, KeysAreReadFromWhatATerminalSends) {
  std::string bytes = "a\t\033[A\033OB\033[5~\033[99;5uq\033[";
  EXPECT_THAT(keys_of(bytes), ElementsAre("a", "tab", "up", "down", "pageup", "q"));
  EXPECT_EQ(bytes, "\033[") << "the rest may follow";
  bytes += "6~";
  EXPECT_THAT(keys_of(bytes), ElementsAre("pagedown"));
  bytes = "\033q";
  EXPECT_THAT(keys_of(bytes), ElementsAre("q")) << "Escape itself is no key";
}

TEST(Top, OnceIsOneTextAndJsonOneDocument) {
  test::FakeDaemon daemon;
  daemon.answers("overview", {answer(10), answer(12)});
  const test::Ran once = daemon.run({"top", "--once", "--interval", "0.1"});
  EXPECT_EQ(once.code, 0) << once.err;
  EXPECT_THAT(once.out, HasSubstr("SYNs/s     30"));
  EXPECT_THAT(once.out, HasSubstr("no alert is raised"));
  EXPECT_THAT(once.out, Not(HasSubstr("\033")));
  EXPECT_EQ(json::parse(daemon.run({"-j", "top"}).out)["node"], "lb1");
  const test::Ran nowhere = daemon.run({"top"});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("--once"));
}

}  // namespace
}  // namespace tfo
