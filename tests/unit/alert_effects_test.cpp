// SPDX-License-Identifier: BSD-2-Clause
// What an alert of the monitor shows of the node around it.
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/alert/effects.h"
#include "loader/observe/kernel_mib.h"

namespace tfo::alert {
namespace {

using nlohmann::json;

NamespaceView server(const std::string& name, uint64_t resets, uint64_t cookies) {
  NamespaceView one;
  one.name = name;
  one.resets_out = resets;
  one.mib.emplace();
  for (size_t i = 0; i < kKernelCounters; i++) {
    if (kKernelCounterTable.at(i).metric == "syncookies_sent") one.mib->at(i) = cookies;
  }
  return one;
}

TEST(AlertEffects, CountSinceTheAttackBegan) {
  Effects effects;
  EXPECT_EQ(effects.since(10), "n/a");
  uint64_t resets = 1000;
  for (int64_t at = 500; at <= 700; at++) {
    if (at > 650) resets += 7;
    effects.see(at, {server("a", resets, 40), server("b", at < 690 ? 5 : 2, 60)});
  }
  const json lately = effects.since(50);
  EXPECT_EQ(lately["resets_out"], 350);
  EXPECT_EQ(lately["syncookies_sent"], 0);
  EXPECT_EQ(lately["listen_overflow"], "n/a") << "this kernel has none";
  EXPECT_EQ(lately["seconds"], 50);
  EXPECT_EQ(effects.since(100'000)["seconds"], 200);
  for (int64_t at = 701; at <= 9'000; at++) effects.see(at, {server("a", resets, 40)});
  EXPECT_EQ(effects.since(100'000)["resets_out"], 0);
  effects.see(9'001, {});
  EXPECT_EQ(effects.since(10), "n/a");
}

TEST(AlertEffects, ResetsOfTheKernelsText) {
  EXPECT_EQ(
      parse_resets("Ip: Forwarding OutRsts\nIp: 1 2\nTcp: RtoMin InSegs OutRsts InCsumErrors\n"
                   "Tcp: 200 5 77 0\nUdp: OutRsts\nUdp: 3\n"),
      77U);
  EXPECT_EQ(parse_resets("Tcp: RtoMin OutRsts\nTcp: 200\n"), std::nullopt);
  EXPECT_EQ(parse_resets(""), std::nullopt);
}

TEST(AlertEffects, SurroundingsAreShown) {
  View view;
  view.interfaces = {{.name = "eth0", .ifindex = 1, .mode = "native", .detail = "", .egress = true},
                     {.name = "eth1", .ifindex = 2, .mode = "generic", .detail = ""}};
  Effects effects;
  effects.see(100, {server("a", 1, 1)});
  std::vector<Sample> samples(2);
  samples[0].evidence = [] { return json{{"volume", {{"seconds", 3}}}}; };
  add_surroundings(samples, view, effects);
  const json shown = samples[0].evidence();
  EXPECT_EQ(shown["hooks"], (json{"eth0: xdp native, tc egress", "eth1: xdp generic"}));
  EXPECT_EQ(shown["effect"]["resets_out"], 0);
  EXPECT_FALSE(samples[1].evidence().contains("effect"));
}

}  // namespace
}  // namespace tfo::alert
