// SPDX-License-Identifier: BSD-2-Clause
// The server role against somebody who changes what tfod wrote, and without keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "loader/namespace_watch.h"
#include "tests/support/server_site.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kForeign[] = "a0bf63f7-ed803d81-cd641d30-cebc4a90";

TEST_F(ServerSite, KeysThatSomebodyElseWroteAreWrittenAgainWithinSeconds) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string ours = sysctl("tcp_fastopen_key");
  set("tcp_fastopen_key", kForeign);
  EXPECT_TRUE(wait_until([&] { return sysctl("tcp_fastopen_key") == ours; }, 5)) << tfod.log();
  ASSERT_TRUE(wait_until([&] { return site_.raised("key_repaired"); })) << site_.status();
  EXPECT_FALSE(site_.raised("key_fight"));
  EXPECT_EQ(site_.status()["pools"][0]["repairs"]["netns " + name()], 1) << site_.status();
  EXPECT_TRUE(tfod.says("condition raised: key_repaired web/netns " + name()));
  for (int i = 0; i < 2; ++i) {
    set("tcp_fastopen_key", kForeign);
    ASSERT_TRUE(wait_until([&] { return sysctl("tcp_fastopen_key") == ours; }, 5));
  }
  EXPECT_TRUE(wait_until([&] { return site_.raised("key_fight"); })) << site_.status();
  EXPECT_THAT(tfod.log(), ::testing::Not(HasSubstr("ed803d81"))) << "a foreign key is one too";
}

TEST_F(ServerSite, OrReportedUntilTheyAreRightAgain) {
  site_.config["server"]["on_drift"] = "report";
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  set("tcp_fastopen_key", kForeign);
  ASSERT_TRUE(wait_until([&] { return site_.raised("key_drift"); })) << tfod.log();
  set("tcp_fastopen", "1");
  ASSERT_TRUE(wait_until([&] { return site_.raised("server_bit_drift"); })) << tfod.log();
  EXPECT_EQ(sysctl("tcp_fastopen_key"), kForeign);
  EXPECT_EQ(sysctl("tcp_fastopen"), "1");
  set("tcp_fastopen", "3");
  EXPECT_TRUE(wait_until([&] { return !site_.raised("server_bit_drift"); })) << tfod.log();
  EXPECT_EQ(site_.ask({{"command", "key-rotate"}})["ok"], true) << "new keys go everywhere";
  EXPECT_TRUE(wait_until([&] { return !site_.raised("key_drift"); })) << tfod.log();
}

TEST_F(ServerSite, TheServerBitIsPutBackAndNoOtherBitTouched) {
  set("tcp_fastopen", "0x405");
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(sysctl("tcp_fastopen"), "1031") << "0x407";
  EXPECT_TRUE(site_.raised("every_listener"));
  set("tcp_fastopen", "0x5");
  EXPECT_TRUE(wait_until([&] { return sysctl("tcp_fastopen") == "7"; }, 5)) << tfod.log();
  EXPECT_TRUE(site_.raised("server_bit_repaired"));
  EXPECT_TRUE(wait_until([&] { return !site_.raised("every_listener"); }));
}

TEST_F(ServerSite, ABitThatWasSetTooEarlyIsTakenAwayUntilTheDelayIsOver) {
  set("tcp_fastopen_key", kForeign);
  set("tcp_fastopen", "3");
  // The pool has keys already, as after a reboot.
  {
    TfodProcess first(site_.write(), site_.path("first"));
    ASSERT_TRUE(first.ready());
  }
  set("tcp_fastopen_key", "00112233-44556677-8899aabb-ccddeeff");
  std::filesystem::remove(site_.path("state/test.servers"));
  site_.config["server"]["enable_delay"] = "8760h";  // longer than this machine has run
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(sysctl("tcp_fastopen"), "1");
  EXPECT_EQ(site_.status()["namespaces"][0]["server_bit"], "waiting");
  EXPECT_TRUE(tfod.says("Fast Open was on before tfod started")) << tfod.log();
  EXPECT_THAT(tfod.log(), ::testing::Not(HasSubstr("44556677")));
}

/// The daemon's part with real files and a pool whose keys end: a file store never lets them.
TEST_F(ServerSite, WithoutAnUnexpiredKeyFastOpenIsOffUntilThereIsOne) {
  Conditions conditions([] { return int64_t{0}; });
  NamespaceWatch watch(conditions);
  Config config;
  config.server = ServerConfig{};
  config.server->namespaces = {{.pool = "web", .netns = "/run/netns/" + name()}};
  auto files = watch.open(config);
  ASSERT_TRUE(files) << files.error().message;
  watch.use(config, std::move(*files));
  KeyRing ring;
  ring.generations = {{.id = 1, .key = Key::random(), .not_after = 1000}};
  Moment now{.unix_s = 900, .boot_s = 100, .boot_id = "boot"};
  const auto tick = [&] {
    watch.tick(now, [&](const std::string&) { return PoolKeys{.ring = &ring, .in_force = true}; });
  };
  tick();
  EXPECT_EQ(sysctl("tcp_fastopen"), "3");
  now.unix_s = 1000;
  tick();
  EXPECT_EQ(sysctl("tcp_fastopen"), "1");
  EXPECT_TRUE(conditions.active("server_off"));
  EXPECT_EQ(watch.view()[0].server_bit, "expired");
  ring.generations[0].not_after = 2000;
  tick();
  EXPECT_EQ(sysctl("tcp_fastopen"), "3");
  EXPECT_FALSE(conditions.active("server_off"));
}

}  // namespace
}  // namespace tfo::test
