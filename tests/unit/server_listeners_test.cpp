// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/server/listeners.h"

namespace tfo {
namespace {

using nlohmann::json;
using testing::HasSubstr;

ConfigAddress v4(uint8_t a, uint8_t d) {
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, 0, 2, d};
}

Listener listener(const ConfigAddress& address, uint16_t port, uint32_t backlog, uint32_t limit) {
  return {.address = address,
          .port = port,
          .backlog = backlog,
          .accept_queue = 0,
          .fast_open = FastOpenQueue{.limit = limit, .pending = 1, .own_keys = {}}};
}

TEST(Listeners, LeavesLoopbackOutSortsAndCuts) {
  ListenerReport report;
  ConfigAddress loopback6{};
  loopback6[15] = 1;
  report.listeners = {listener(v4(127, 1), 80, 1, 1), listener(loopback6, 80, 1, 1),
                      listener(v4(192, 9), 443, 1, 1), listener({}, 80, 1, 1)};
  tidy(report);
  ASSERT_EQ(report.listeners.size(), 2U);
  EXPECT_EQ(listener_text(report.listeners[0]), "*:80");
  EXPECT_EQ(listener_text(report.listeners[1]), "192.0.2.9:443");
  report.listeners.resize(ListenerReport::kMaxListeners + 7, listener({}, 9, 1, 1));
  tidy(report);
  EXPECT_EQ(report.listeners.size(), ListenerReport::kMaxListeners);
  EXPECT_EQ(report.left_out, 7U);
}

TEST(Listeners, JudgesOwnKeysByFingerprint) {
  KeyRing ring;
  ring.generations = {{.id = 1, .key = Key::random()}};
  Listener one = listener({}, 80, 100, 10);
  EXPECT_EQ(own_key_evidence(one, ring), "");
  one.fast_open->own_keys = {ring.generations[0].key.fingerprint()};
  EXPECT_THAT(own_key_evidence(one, ring), HasSubstr("stay as they are when it rotates"));
  one.fast_open->own_keys = {Key::random().fingerprint()};
  EXPECT_THAT(own_key_evidence(one, ring), HasSubstr("refused everywhere else"));
  one.fast_open->limit = 0;
  EXPECT_EQ(own_key_evidence(one, ring), "") << "it takes no Fast Open";
}

/// The kernel's default is what the guard's buckets are made for.
TEST(Listeners, SilentClientsHoldTheirPlaces) {
  EXPECT_EQ(held_seconds(0), 3U);
  EXPECT_EQ(held_seconds(kUsualRetries), 127U);
  EXPECT_LE(uint64_t{held_seconds(kUsualRetries)} * 1'000'000'000,
            (TFO_PENDING_BUCKETS - 1) * TFO_BUCKET_NS);
  EXPECT_EQ(held_seconds(6), 247U);
  EXPECT_EQ(held_seconds(8), 487U);
}

TEST(Listeners, WhatIsNotKnownIsNull) {
  ListenerReport report{.netns = "a",
                        .fastopen_bits = 3,
                        .somaxconn = 0,
                        .listeners = {listener(v4(192, 1), 80, 100, 10)},
                        .left_out = 0,
                        .unseen = "no BTF",
                        .error = {}};
  report.listeners[0].fast_open.reset();
  const json out = listeners_json(report);
  EXPECT_EQ(out["unseen"], "no BTF");
  EXPECT_TRUE(out["somaxconn"].is_null());
  EXPECT_TRUE(out["error"].is_null());
  EXPECT_EQ(out["listeners"][0]["address"], "192.0.2.1");
  EXPECT_EQ(out["listeners"][0]["backlog"], 100);
  EXPECT_TRUE(out["listeners"][0]["fastopen_limit"].is_null());
}

}  // namespace
}  // namespace tfo
