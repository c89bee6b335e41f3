// SPDX-License-Identifier: BSD-2-Clause
// A real tfod and real kernels as reflectors: SYNs with the victim's address go to listeners that
// answer to the victim, behind the node. The alert says whom, from where and how much.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <csignal>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "tests/support/monitor_farm.h"

namespace tfo::test {
namespace {

using nlohmann::json;

/// The same with people behind the tracked address.
class TfodMonitor : public MonitorFarm {
 protected:
  /// Connections from the tracked address, one after the other.
  static int connect_from_office(int count) {
    int connected = 0;
    for (int i = 0; i < count; ++i) {
      const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in from{}, to{};
      from.sin_family = to.sin_family = AF_INET;
      inet_pton(AF_INET, kOffice, &from.sin_addr);
      inet_pton(AF_INET, reflector(1 + static_cast<unsigned>(i) % kNetworks, kOffice).c_str(),
                &to.sin_addr);
      to.sin_port = htons(kPort);
      if (bind(client.get(), reinterpret_cast<sockaddr*>(&from), sizeof(from)) != 0) continue;
      connected += connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 ? 1 : 0;
    }
    return connected;
  }
};

TEST_F(TfodMonitor, TellsReflectionWithinSecondsAndCriesNoWolf) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(watched("office")["readiness"], "unproven") << "nothing shows yet that SYNs are seen";
  EXPECT_FALSE(site_.raised("tracking_unproven")) << "it is idle, no more";

  constexpr int kHonest = 200;
  ASSERT_EQ(connect_from_office(kHonest), kHonest);
  ASSERT_TRUE(wait_until([&] { return watched("office")["readiness"] == "ready"; }, 5))
      << watched("office");
  EXPECT_TRUE(wait_until([&] { return watched("office")["answered"] == kHonest; }, 5));
  EXPECT_EQ(watched("office")["unsolicited"], 0) << "honest connections";
  EXPECT_FALSE(site_.raised("tracking_unproven"));
  EXPECT_EQ(alerts(), 0U);

  const json vip = attack({.id = "vip:web", .victims = {kVip}, .rate = 9'000});
  EXPECT_EQ(vip["pool"], "web");
  EXPECT_EQ(vip["evidence"]["top"]["victims"][0]["address"], kVip);
  expect_top_ten(vip, kVip);
  EXPECT_EQ(watched("web")["reflectors"], kNetworks);

  const json headers = site_.ask({{"command", "alert-pcap"}, {"id", "vip:web"}})["result"];
  EXPECT_GT(headers.size(), 20U * (16 + 40)) << "a pcap file";
  const json office = attack({.id = "tracked:office", .victims = {kOffice}, .rate = 16'000});
  EXPECT_EQ(office["evidence"]["top"]["victims"][0]["address"], kOffice);
  EXPECT_EQ(office["evidence"]["tracking"]["proven"], true);
  expect_top_ten(office, kOffice);

  std::vector<std::string> carpet;
  for (int i = 1; i < 251; ++i) carpet.push_back(fmt::format("203.0.113.{}", i));
  const json net = attack({.id = "carpet:net", .victims = carpet, .rate = 30'000});
  EXPECT_GE(net["evidence"]["addresses_hit"], 200);
  EXPECT_EQ(net["evidence"]["top"]["victim_networks"][0]["network"], "203.0.113.0/24");
  EXPECT_EQ(alerts(), 3U) << site_.ask({{"command", "alert-list"}});
}

TEST_F(TfodMonitor, IsNotWarmAgainAfterSomebodyTookItsProgramOff) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_EQ(connect_from_office(50), 50);
  ASSERT_TRUE(wait_until([&] { return watched("office")["readiness"] == "ready"; }, 5));
  const Fd link(bpf_obj_get((site_.bpffs().pins() / "egress" / "t0").c_str()));
  if (!link || bpf_link_detach(link.get()) != 0) GTEST_SKIP() << "no tcx here";
  EXPECT_TRUE(wait_until([&] { return watched("office")["readiness"] == "not_warm"; }, 5))
      << watched("office");
  EXPECT_EQ(site_.status()["interfaces"][0]["tracks"], true) << "it is there again";
}

TEST_F(TfodMonitor, AReloadChangesWhoIsWatched) {
  const json monitor = site_.config["monitor"];
  site_.config["monitor"] = {{"vips", false}};
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_TRUE(site_.status()["monitor"].is_null());
  site_.config["monitor"] = monitor;
  site_.write();
  tfod.signal(SIGHUP);
  ASSERT_TRUE(wait_until([&] { return watched("office").is_object(); }, 5)) << tfod.log();
  EXPECT_TRUE(watched("web").is_object());
  EXPECT_EQ(connect_from_office(50), 50);
  EXPECT_TRUE(wait_until([&] { return watched("office")["readiness"] == "ready"; }, 5))
      << watched("office");
  site_.config["monitor"].erase("tracked");
  site_.write();
  tfod.signal(SIGHUP);
  EXPECT_TRUE(wait_until([&] { return watched("office").is_null(); }, 5)) << tfod.log();
  EXPECT_TRUE(watched("net").is_object());
  EXPECT_FALSE(site_.raised("dataplane_failed"));
}

}  // namespace
}  // namespace tfo::test
