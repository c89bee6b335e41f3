// SPDX-License-Identifier: BSD-2-Clause
// What an operator said of client networks outlives the daemon, and the maps that it was said in.
#include <gtest/gtest.h>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/guard_tables.h"
#include "loader/keys/ring.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

VipConfig vip(unsigned number) {
  return {.name = "vip" + std::to_string(number),
          .addresses = {parse_network("198.18." + std::to_string(number / 256) + "." +
                                      std::to_string(number % 256))
                            ->address},
          .ports = {443},
          .pool = "web"};
}

std::vector<VipConfig> vips(unsigned count) {
  std::vector<VipConfig> all;
  for (unsigned i = 0; i < count; ++i) all.push_back(vip(i));
  return all;
}

class DataplaneGuard : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    ASSERT_TRUE(netns_.add_veth("one"));
  }

  Result<Dataplane> open(uint32_t handshakes = 1024) {
    auto dataplane = Dataplane::open({.pin_directory = bpffs_.pins(),
                                      .vips = 1,
                                      .vip_rows = 1,
                                      .handshakes = handshakes,
                                      .boot_offset_ns = [] { return int64_t{0}; },
                                      .checkpoint = {}});
    if (!dataplane) return dataplane;
    auto done = dataplane->set_ring("web", KeyRing{});
    if (done) done = dataplane->set_vips(vips(1));
    if (done) done = dataplane->set_interfaces({{.name = "one"}});
    if (!done) return tl::unexpected(done.error());
    dataplane->keep();
    return dataplane;
  }

  static void expect_listed(const Dataplane& dataplane, const char* where) {
    const auto listed = dataplane.guard().listed();
    ASSERT_OK(listed);
    ASSERT_EQ(listed->size(), 1U) << where;
    EXPECT_EQ(network_text(listed->front().network), "192.0.2.0/24") << where;
    EXPECT_EQ(listed->front().verdict, TFO_LIST_DENY) << where;
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
};

TEST_F(DataplaneGuard, TheOperatorsListSurvivesRestartsAndOtherMaps) {
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    const auto until = dataplane->guard().now_ns() + 3'600'000'000'000;
    ASSERT_OK(
        dataplane->guard().list({parse_network("192.0.2.0/24").value(), TFO_LIST_DENY, until}));
  }
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    EXPECT_TRUE(dataplane->adopted());
    expect_listed(*dataplane, "a restart");
    const uint64_t before = dataplane->guard().serial();
    ASSERT_OK(dataplane->set_vips(vips(100)));
    EXPECT_NE(dataplane->guard().serial(), before) << "these maps are larger";
    expect_listed(*dataplane, "larger maps");
  }
  auto dataplane = open(2048);
  ASSERT_OK(dataplane);
  expect_listed(*dataplane, "tables of another size");
}

}  // namespace
}  // namespace tfo::test
