// SPDX-License-Identifier: BSD-2-Clause
// What tfod tells of a namespace's listeners against what the listeners themselves and ss(8) say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/keys/key.h"
#include "tests/support/sandbox.h"
#include "tests/support/server_site.h"

#ifndef TCP_FASTOPEN_KEY
#define TCP_FASTOPEN_KEY 33
#endif

namespace tfo::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// A listener at an IPv4 address of the thread's namespace, one of several. Empty: failed.
Fd sibling(uint32_t address, uint16_t port, int qlen) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN, &qlen, sizeof(qlen));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  place.sin_addr.s_addr = htonl(address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&place), sizeof(place)) != 0) return {};
  if (listen(fd.get(), qlen) != 0) return {};
  return fd;
}

/// A listener in the thread's namespace; `qlen` 0: no Fast Open. Empty: failed.
Fd listen_here(int family, uint16_t port, int backlog, int qlen, const std::vector<uint8_t>& key) {
  Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (qlen != 0) setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN, &qlen, sizeof(qlen));
  if (!key.empty()) {
    setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_KEY, key.data(),
               static_cast<socklen_t>(key.size()));
  }
  sockaddr_in6 place{};
  place.sin6_family = static_cast<sa_family_t>(family);
  place.sin6_port = htons(port);  // where sin_port is, too
  const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(place);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&place), size) != 0) return {};
  if (listen(fd.get(), backlog) != 0) return {};
  return fd;
}

class ServerListeners : public ServerSite {
 protected:
  Fd listen_on(int family, uint16_t port, int backlog, int qlen, const std::vector<uint8_t>& key) {
    const NetNs::Inside inside(*server_);
    return listen_here(family, port, backlog, qlen, key);
  }

  /// The daemon's line on a port, or null.
  json port(int number) const {
    const json status = site_.status();
    for (const json& one : status["namespaces"][0]["listeners"]) {
      if (one["port"] == number) return one;
    }
    return nullptr;
  }

  /// "PORT BACKLOG QUEUE" lines of ss, sorted.
  std::string told_by_ss() const {
    shell("nsenter --net=/run/netns/" + name() +
          " ss -ltnH | awk '{n=split($4,a,\":\"); print a[n], $3, $2}' | sort > " +
          site_.path("ss").string());
    return slurp(site_.path("ss"));
  }
};

TEST_F(ServerListeners, AreAsTheyAndSsSay) {
  const Fd web = listen_on(AF_INET, 80, 33, 7, {});
  const Fd web6 = listen_on(AF_INET6, 81, 600, 9999, {});
  const Fd plain = listen_on(AF_INET, 82, 5, 0, {});
  ASSERT_TRUE(web && web6 && plain);
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const json status = site_.status();
  const json& ns = status["namespaces"][0];
  ASSERT_TRUE(ns["unseen"].is_null()) << ns;
  EXPECT_EQ(port(80)["fastopen_limit"], 7) << ns;
  EXPECT_EQ(port(81)["fastopen_limit"], 4096) << "cut to somaxconn";
  EXPECT_EQ(port(82)["fastopen_limit"], 0);
  EXPECT_EQ(port(81)["address"], "::");
  EXPECT_EQ(ns["somaxconn"], 4096);
  std::vector<std::string> lines;
  for (const json& one : ns["listeners"]) {
    lines.push_back(one["port"].dump() + " " + one["backlog"].dump() + " " +
                    one["accept_queue"].dump() + "\n");
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  EXPECT_EQ(text, told_by_ss());
  EXPECT_TRUE(status["conditions"].empty()) << status["conditions"];
}

/// A VIP stands on loopback, as behind direct server return.
TEST_F(ServerListeners, ThoseThatServeTheVipMakeItsLimits) {
  ASSERT_TRUE(server_->ip("addr add 192.0.2.10/32 dev lo"));
  const auto there = [&](uint32_t address, uint16_t port, int qlen) {
    const NetNs::Inside inside(*server_);
    return sibling(address, port, qlen);
  };
  const Fd first = there(0xc000020a, 443, 256), second = there(0xc000020a, 443, 256);
  const Fd wildcard = there(0, 443, 4), stray = there(0, 8080, 2);
  ASSERT_TRUE(first && second && wildcard && stray);
  site_.config["vips"] = {
      {{"name", "web"}, {"addresses", {"192.0.2.10"}}, {"ports", {443}}, {"pool", "web"}},
      {{"name", "any"}, {"addresses", {"192.0.2.11"}}, {"pool", "web"}}};
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const auto limits = [&](size_t vip) {
    const json guard = site_.status()["guard"][vip];
    return json::array(
        {guard["address_limit"], guard["limit"], guard["site_limit"], guard["vip_limit"]});
  };
  EXPECT_TRUE(wait_until([&] { return limits(0) == json({16, 64, 128, 256}); })) << limits(0);
  EXPECT_EQ(limits(1), json({1, 1, 1, 1})) << "at port 8080";
}

TEST_F(ServerListeners, OneWithKeysOfItsOwnIsNamed) {
  const std::vector<uint8_t> own = {0x33, 0x22, 0x11, 0x00, 0x77, 0x66, 0x55, 0x44,
                                    0xbb, 0xaa, 0x99, 0x88, 0xff, 0xee, 0xdd, 0xcc};
  const Fd web = listen_on(AF_INET, 80, 33, 7, own);
  ASSERT_TRUE(web);
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(site_.raised("listener_own_key")) << site_.status();
  const std::string fingerprint = Key::parse("00112233-44556677-8899aabb-ccddeeff")->fingerprint();
  EXPECT_EQ(port(80)["own_keys"], json::array({fingerprint}));
  EXPECT_THAT(tfod.log(), HasSubstr("*:80"));
  EXPECT_THAT(tfod.log(), ::testing::Not(HasSubstr("44556677")));
}

TEST_F(ServerListeners, ALowSomaxconnIsSaid) {
  ASSERT_TRUE(server_->sysctl("core/somaxconn", "128"));
  const Fd web = listen_on(AF_INET, 80, 511, 256, {});
  const Fd small = listen_on(AF_INET, 81, 64, 64, {});
  ASSERT_TRUE(web && small);
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(site_.raised("backlog_clamped")) << site_.status();
  EXPECT_THAT(tfod.log(), ::testing::AllOf(HasSubstr("*:80:"), ::testing::Not(HasSubstr("*:81"))));
}

TEST_F(ServerListeners, MoreSynAckRetriesThanTheGuardReckonsWithAreSaid) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_FALSE(site_.raised("synack_retries")) << "5, by default";
  set("tcp_synack_retries", "8");
  EXPECT_TRUE(wait_until([&] { return site_.raised("synack_retries"); }));
  EXPECT_THAT(tfod.log(), HasSubstr("for 487 s"));
  set("tcp_synack_retries", "3");
  EXPECT_TRUE(wait_until([&] { return !site_.raised("synack_retries"); }));
}

TEST_F(ServerListeners, WithoutBpfTheFastOpenQueueIsUnknownAndTheRestIsNot) {
  const Fd web = listen_here(AF_INET, 80, 33, 7, {});
  const Fd web6 = listen_here(AF_INET6, 81, 600, 0, {});
  ASSERT_TRUE(web && web6);
  site_.config.erase("interfaces");
  site_.config.erase("vips");
  site_.config["server"]["namespaces"] = {{{"pool", "web"}}};  // tfod's own: no CAP_SYS_ADMIN
  TfodProcess tfod(site_.write(), site_.path("log"),
                   {"setpriv", "--bounding-set=-bpf,-sys_admin", "--"});
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const json status = site_.status();
  EXPECT_TRUE(status["namespaces"][0]["unseen"].is_string()) << status;
  EXPECT_EQ(port(80)["backlog"], 33);
  EXPECT_EQ(port(81)["backlog"], 600);
  EXPECT_TRUE(port(80)["fastopen_limit"].is_null());
}

}  // namespace
}  // namespace tfo::test
