// SPDX-License-Identifier: BSD-2-Clause
// Frames that do not fit into one piece (xdp.frags): the headers lie in the linear part, and only
// the whole frame's length says whether the IP length is true.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/cases.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

constexpr size_t kJumbo = 8000;  // more than a page

class Jumbo : public testing::TestWithParam<Side> {
 protected:
  void SetUp() override {
    auto xdp = load_world(case_world());
    ASSERT_TRUE(xdp) << xdp.error().message;
    xdp_.emplace(std::move(*xdp));
  }
  Verdict verdict(const Packet& packet) {
    const auto seen = xdp_->run(packet.frame());
    EXPECT_TRUE(seen) << seen.error().message;
    return seen ? comparable(*seen) : Verdict{};
  }
  std::optional<XdpUnderTest> xdp_;
};

TEST_P(Jumbo, IsClassifiedLikeAnyOther) {
  Packet packet = web_syn(GetParam()).data(kJumbo);
  EXPECT_EQ(verdict(packet), vip(TFO_DATA_NO_OPTION, TFO_OPTION_NONE, true));
  packet.option(fast_open(cookie_of(kCurrentKey, packet)));
  EXPECT_EQ(verdict(packet), vip(TFO_COOKIE_CURRENT, TFO_OPTION_34, true));
  packet.flags(kAck);
  EXPECT_EQ(verdict(packet), node(TFO_OTHER));
}

TEST_P(Jumbo, EndsWhereTheIpLengthSays) {
  Packet packet = web_syn(GetParam()).trailer(Bytes(kJumbo, 0x22));
  EXPECT_EQ(verdict(packet), vip(TFO_PLAIN));
  packet = web_syn(GetParam()).data(kJumbo).cut_frame(1);
  EXPECT_EQ(verdict(packet), node(TFO_NOT_TCP));
}

INSTANTIATE_TEST_SUITE_P(Families, Jumbo, testing::ValuesIn(kSides),
                         [](const auto& side) { return side.param.name; });

}  // namespace
}  // namespace tfo::test
