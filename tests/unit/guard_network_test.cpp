// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "loader/guard/network.h"

namespace tfo {
namespace {

ClientNetwork network(const std::string& text) {
  const auto parsed = parse_network(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(ClientNetwork{});
}

TEST(GuardNetwork, IsWrittenAsItWasRead) {
  for (const char* text : {"192.0.2.0/24", "192.0.2.7", "10.0.0.0/8", "128.0.0.0/1",
                           "2001:db8::/48", "2001:db8::1", "2001:db8:1:2::/64", "8000::/1"}) {
    EXPECT_EQ(network_text(network(text)), text);
  }
  EXPECT_EQ(network_text(network("192.0.2.7/32")), "192.0.2.7");
  EXPECT_EQ(network_text(network("2001:DB8::1/128")), "2001:db8::1");
  EXPECT_EQ(network("192.0.2.0/24").length, 96U + 24);
  EXPECT_TRUE(network("192.0.2.0/24").is_v4());
  EXPECT_FALSE(network("::/8").is_v4());
}

TEST(GuardNetwork, RefusalsQuoteTheTextAndSayWhatToGive) {
  for (const char* text : {"", "/24", "web", "192.0.2", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/0",
                           "192.0.2.0/24x", "192.0.2.0/-1", "2001:db8::/129", "2001:db8::/0"}) {
    const auto parsed = parse_network(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find(text), std::string::npos) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find("give"), std::string::npos) << parsed.error().message;
  }
  const std::pair<std::string, const char*> better[] = {
      {"192.0.2.7/24", "give 192.0.2.0/24"},
      {"2001:db8::1/48", "give 2001:db8::/48"},
      {"::1/1", "give ::/1"},
      {"::ffff:192.0.2.0/24", "give it as 192.0.2.0"},
      {"::ffff:192.0.2.0/120", "give it as 192.0.2.0"},
      {"::ffff:192.0.2.7", "give it as 192.0.2.7"},
      {std::string("10.0.0.0\0/24", 12), "'10.0.0.0?/24' is no client network"},
      {std::string("10.0.0.0/24\0", 12), "'10.0.0.0/24?' has no good length"}};
  for (const auto& [text, words] : better) {
    const auto parsed = parse_network(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find(words), std::string::npos) << parsed.error().message;
  }
}

TEST(GuardNetwork, HoldsWhatLiesInIt) {
  EXPECT_TRUE(holds(network("192.0.2.0/24"), network("192.0.2.7")));
  EXPECT_TRUE(holds(network("192.0.2.0/24"), network("192.0.2.0/24")));
  EXPECT_FALSE(holds(network("192.0.2.7"), network("192.0.2.0/24")));
  EXPECT_FALSE(holds(network("192.0.2.0/24"), network("192.0.3.7")));
  EXPECT_TRUE(holds(network("2001:db8::/47"), network("2001:db8:1::/48")));
  EXPECT_FALSE(holds(network("2001:db8::/48"), network("2001:db8:1::/48")));
  EXPECT_TRUE(holds(network("::/1"), network("2001:db8::1")));
  EXPECT_FALSE(holds(network("::/1"), network("192.0.2.7"))) << "IPv4 lies in no network of IPv6";
}

TEST(GuardNetwork, LevelsAreThoseOfTheProgram) {
  const ConfigAddress v4 = network("192.0.2.7").address;
  const ConfigAddress v6 = network("2001:db8:1:2:3::4").address;
  EXPECT_EQ(network_text(network_at(v4, TFO_LEVEL_ADDRESS)), "192.0.2.7");
  EXPECT_EQ(network_text(network_at(v4, TFO_LEVEL_NETWORK)), "192.0.2.0/24");
  EXPECT_EQ(network_text(network_at(v6, TFO_LEVEL_ADDRESS)), "2001:db8:1:2:3::4");
  EXPECT_EQ(network_text(network_at(v6, TFO_LEVEL_NETWORK)), "2001:db8:1:2::/64");
  EXPECT_EQ(network_text(network_at(v6, TFO_LEVEL_SITE)), "2001:db8:1::/48");
}

}  // namespace
}  // namespace tfo
