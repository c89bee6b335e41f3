// SPDX-License-Identifier: BSD-2-Clause
// Whose queues bound what may be open at a VIP.
#include <gtest/gtest.h>

#include "loader/guard/network.h"
#include "loader/server/serving.h"

namespace tfo {
namespace {

ConfigAddress address(const char* text) { return parse_network(text)->address; }

constexpr const char* kVip4 = "192.0.2.1";
constexpr const char* kVip6 = "2001:db8::1";
const ConfigAddress kAny6{};
const ConfigAddress kAny4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

/// A listener whose backlog is ten times its Fast Open queue.
Listener listener(const ConfigAddress& at, uint16_t port, uint32_t limit) {
  Listener one;
  one.address = at;
  one.port = port;
  one.backlog = 10 * limit;
  one.fast_open.emplace().limit = limit;
  return one;
}

ListenerReport report_of(std::vector<Listener> listeners) {
  ListenerReport report;
  report.listeners = std::move(listeners);
  tidy(report);
  return report;
}

VipConfig vip_of(std::initializer_list<const char*> addresses, std::vector<uint16_t> ports) {
  VipConfig vip;
  for (const char* one : addresses) vip.addresses.push_back(address(one));
  vip.ports = std::move(ports);
  return vip;
}

struct Case {
  const char* name;
  VipConfig vip;
  std::vector<Listener> listeners;
  uint64_t fast_open;
};

const Case kCases[] = {
    {"Nobody", vip_of({kVip4}, {443}), {}, 0},
    {"TheVipsOwn", vip_of({kVip4}, {443}), {listener(address(kVip4), 443, 128)}, 128},
    {"AnotherPort",
     vip_of({kVip4}, {443}),
     {listener(address(kVip4), 443, 128), listener(address(kVip4), 8080, 2),
      listener(kAny4, 81, 2)},
     128},
    {"AnotherAddress",
     vip_of({kVip4}, {443}),
     {listener(address(kVip4), 443, 128), listener(address("192.0.2.9"), 443, 2),
      listener(address(kVip6), 443, 2)},
     128},
    {"OnlyOthers", vip_of({kVip4}, {443}), {listener(address("192.0.2.9"), 443, 2)}, 0},
    {"TheWildcard", vip_of({kVip4}, {443}), {listener(kAny4, 443, 64)}, 64},
    {"TheWildcardIsAskedLast",
     vip_of({kVip4}, {443}),
     {listener(address(kVip4), 443, 128), listener(kAny4, 443, 2), listener(kAny6, 443, 2)},
     128},
    {"TheWildcardOfBothFamilies", vip_of({kVip4, kVip6}, {443}), {listener(kAny6, 443, 32)}, 32},
    {"EachFamilyHasItsWildcard",
     vip_of({kVip4}, {443}),
     {listener(kAny4, 443, 64), listener(kAny6, 443, 2)},
     64},
    {"NoIpv6OfTheOtherWildcard", vip_of({kVip6}, {443}), {listener(kAny4, 443, 64)}, 0},
    {"SiblingsAreAddedUp",
     vip_of({kVip4}, {443}),
     {listener(address(kVip4), 443, 64), listener(address(kVip4), 443, 64),
      listener(address(kVip4), 443, 32)},
     160},
    {"TheLeastOfThePorts",
     vip_of({kVip4}, {80, 443}),
     {listener(kAny4, 443, 64), listener(kAny4, 80, 16)},
     16},
    {"TheLeastOfTheAddresses",
     vip_of({kVip4, "192.0.2.2"}, {443}),
     {listener(address(kVip4), 443, 64), listener(address("192.0.2.2"), 443, 48)},
     48},
    {"APortWithoutFastOpen",
     vip_of({kVip4}, {80, 443}),
     {listener(kAny4, 443, 64), listener(kAny4, 80, 0)},
     64},
    {"WithoutFastOpenInFrontOfTheWildcard",
     vip_of({kVip4}, {443}),
     {listener(address(kVip4), 443, 0), listener(kAny4, 443, 64)},
     0},
    {"EveryPort",
     vip_of({kVip4}, {}),
     {listener(kAny4, 443, 64), listener(address(kVip4), 80, 32), listener(kAny4, 80, 2),
      listener(address("192.0.2.9"), 22, 2)},
     32},
};

class ServingListeners : public testing::TestWithParam<Case> {};

TEST_P(ServingListeners, BoundTheVip) {
  const LeastQueues expected{.backlog = 10 * GetParam().fast_open,
                             .fast_open = GetParam().fast_open};
  EXPECT_EQ(least_queues(report_of(GetParam().listeners), GetParam().vip), expected);
}

INSTANTIATE_TEST_SUITE_P(Cases, ServingListeners, testing::ValuesIn(kCases),
                         [](const auto& one) { return one.param.name; });

TEST(ServingListeners, WhatCannotBeSeenIsNotKnown) {
  Listener unseen = listener(kAny4, 443, 10);
  unseen.fast_open.reset();
  const LeastQueues expected{.backlog = 100, .fast_open = std::nullopt};
  EXPECT_EQ(least_queues(report_of({unseen}), vip_of({kVip4}, {443})), expected)
      << "it may do Fast Open";
  EXPECT_EQ(
      least_queues(report_of({unseen, listener(address(kVip4), 443, 30)}), vip_of({kVip4}, {443})),
      (LeastQueues{.backlog = 300, .fast_open = 30}));
}

std::vector<unsigned> counts(const ListenerReport& report) {
  std::vector<unsigned> all;
  all.reserve(report.listeners.size());
  for (const Listener& one : report.listeners) all.push_back(one.vips);
  return all;
}

/// Each VIP's limits would be those of a whole queue that it has a part of.
TEST(ServingListeners, AreDividedByTheVipsThatTheyServe) {
  const char* const places[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
  std::vector<VipConfig> vips;
  for (const char* one : places) vips.push_back(vip_of({one}, {443}));
  ListenerReport report = report_of({listener(kAny4, 443, 64), listener(kAny4, 443, 64)});
  count_vips(report, vips, "");
  EXPECT_EQ(counts(report), (std::vector<unsigned>{4, 4}));
  EXPECT_EQ(least_queues(report, vips[0]), (LeastQueues{.backlog = 320, .fast_open = 32}));
  EXPECT_EQ(least_queues(report), (LeastQueues{.backlog = 1280, .fast_open = 128}))
      << "for the farm, which knows its own VIPs";
  vips[3].pool = "other";
  count_vips(report, vips, "");
  EXPECT_EQ(least_queues(report, vips[0]).fast_open, 42U) << "another pool has other servers";

  report = report_of({listener(kAny4, 443, 90), listener(address(places[0]), 443, 40)});
  vips[3] = vip_of({places[3], "192.0.2.5"}, {});
  count_vips(report, vips, "");
  EXPECT_EQ(counts(report), (std::vector<unsigned>{3, 1}));
  EXPECT_EQ(least_queues(report, vips[0]).fast_open, 40U) << "a listener of its own";
  EXPECT_EQ(least_queues(report, vips[1]).fast_open, 30U);
  EXPECT_EQ(least_queues(report, vips[3]).fast_open, 30U) << "at two addresses: once";

  report = report_of({listener(kAny4, 443, 2)});
  count_vips(report, vips, "");
  EXPECT_EQ(least_queues(report, vips[0]).fast_open, 1U) << "none would be as good as unknown";
}

TEST(ServingListeners, WithoutAVipTheLeastPlaceOfAll) {
  EXPECT_EQ(least_queues(report_of({})), LeastQueues{});
  EXPECT_EQ(least_queues(
                report_of({listener(kAny4, 80, 5), listener(kAny4, 80, 6), listener(kAny6, 80, 20),
                           listener(kAny4, 81, 0), listener(kAny4, 443, 12)})),
            (LeastQueues{.backlog = 110, .fast_open = 11}));
}

}  // namespace
}  // namespace tfo
