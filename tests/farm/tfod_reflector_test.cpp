// SPDX-License-Identifier: BSD-2-Clause
// Our own server as the reflector: SYNs with stolen cookies go to a real kernel behind the guard,
// and the victims, real ones or nobody, never finish the handshake.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "loader/dataplane/fd.h"
#include "tests/support/flood.h"
#include "tests/support/netns.h"
#include "tests/support/options.h"
#include "tests/support/outcome.h"
#include "tests/support/packet.h"
#include "tests/support/reference.h"
#include "tests/support/talkative_server.h"
#include "tests/support/tfod_process.h"

namespace tfo::test::tfod_reflector_test {
namespace {

using nlohmann::json;

constexpr const char* kVip = "192.0.2.10";
constexpr uint16_t kPort = 80;
constexpr int kQueue = 4096;  // of the server: 512 handshakes for a client network
constexpr const char* kResetting = "198.18.1.";  // victims whose kernels answer with a RST
constexpr const char* kSilent = "198.19.2.";     // nobody is there
constexpr int kHonest = 500;
constexpr int kOtherRate = 20;               // a second: beside hundreds who are honest
constexpr const char* kOther = "198.18.3.";  // victims of the second attack; they reset, too

/// Honest clients, again and again until it ends; `browse` says how many there were.
class Browsing {
 public:
  explicit Browsing(std::function<int()> browse)
      : thread_([this, browse = std::move(browse)](const std::stop_token& ends) {
          while (!ends.stop_requested()) seen_ += browse();
        }) {}
  int seen() const { return seen_; }

 private:
  std::atomic<int> seen_ = 0;
  std::jthread thread_;  // ends first
};

/// Clients and victims t0_peer -> t0 node, where tfod runs, t1 -> t1_peer server.
class TfodReflector : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    for (auto* ns : {&clients_, &server_}) {
      auto made = NetNs::create(ns == &clients_ ? "tfo-ref-c" : "tfo-ref-s");
      ASSERT_OK(made);
      ns->emplace(std::move(*made));
    }
    wire();
    site_.config["interfaces"][0]["egress"] = true;
    site_.config["vips"][0]["mode"] = "enforce";
    site_.config["server"] = {{"namespaces", {{{"pool", "web"}, {"netns", server_->name()}}}}};
    if (!full()) {  // as shipped it takes three minutes to be over
      for (const char* rule : {"reflector", "reflector_network"}) {
        site_.config["alerts"]["rules"][rule] = {{"warning", {{"window", "10s"}}},
                                                 {"critical", {{"window", "10s"}}},
                                                 {"clear_after", "3s"}};
      }
    }
  }

  void wire() {
    ASSERT_TRUE(shell(
        fmt::format("ip link set t0_peer netns {} && ip link set t1_peer netns {}"
                    " && ip address add 10.9.0.1/24 dev t0 && ip address add 10.8.0.1/24 dev t1"
                    " && ip route add 198.18.0.0/15 via 10.9.0.2 && ip route add {} via 10.8.0.2"
                    " && sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0"
                    " net.ipv4.conf.t0.rp_filter=0",
                    clients_->name(), server_->name(), kVip)));
    for (const char* words :
         {"link set lo up", "link set t0_peer addrgenmode none up",
          "address add 10.9.0.2/24 dev t0_peer", "route add default via 10.9.0.1",
          "route add local 198.18.0.0/16 dev lo", "route add blackhole 198.19.0.0/16"}) {
      ASSERT_OK(clients_->ip(words));
    }
    for (const char* words :
         {"link set lo up", "link set t1_peer addrgenmode none up",
          "address add 10.8.0.2/24 dev t1_peer", "address add 192.0.2.10/32 dev lo",
          "route add default via 10.8.0.1"}) {
      ASSERT_OK(server_->ip(words));
    }
    ASSERT_OK(server_->sysctl("core/somaxconn", std::to_string(kQueue)));
  }

  std::unique_ptr<TalkativeServer> serve() const {
    const NetNs::Inside inside(*server_);
    return std::make_unique<TalkativeServer>(kPort, kQueue);
  }

  /// Cookies go by address: the attacker got these when it had the victims'.
  std::vector<Bytes> stolen(const std::vector<std::string>& networks) const {
    const NetNs::Inside inside(*server_);
    const std::string text = slurp("/proc/sys/net/ipv4/tcp_fastopen_key");
    const KeyBytes key = key_bytes(text.substr(0, 35));
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 2'500; ++i) {
      const std::string victim = fmt::format("{}{}", networks[i % networks.size()], i % 250 + 1);
      Packet syn = Packet::syn(victim, kVip).ports(static_cast<uint16_t>(20'000 + i), kPort);
      syn.link.destination = mac_;
      const auto cookie = reference_cookie(key, syn.ip.source, syn.ip.destination);
      frames.push_back(syn.option(Bytes{2, 4, 5, 180}).option(fast_open(cookie)).data(64).frame());
    }
    return frames;
  }

  /// Connections of one who has a cookie after the first; how many sent data in the SYN.
  int browse(int count) const {
    const NetNs::Inside inside(*clients_);
    int fast = 0;
    for (int i = 0; i < count; ++i) {
      const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in from{}, to{};
      from.sin_family = to.sin_family = AF_INET;
      inet_pton(AF_INET, "198.18.200.1", &from.sin_addr);
      inet_pton(AF_INET, kVip, &to.sin_addr);
      to.sin_port = htons(kPort);
      EXPECT_EQ(bind(client.get(), reinterpret_cast<sockaddr*>(&from), sizeof(from)), 0);
      char answer[2048];
      if (sendto(client.get(), "GET", 3, MSG_FASTOPEN, reinterpret_cast<sockaddr*>(&to),
                 sizeof(to)) != 3 ||
          recv(client.get(), answer, sizeof(answer), 0) <= 0) {
        continue;
      }
      tcp_info info{};
      socklen_t size = sizeof(info);
      getsockopt(client.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
      fast += (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0 ? 1 : 0;
    }
    return fast;
  }

  std::optional<json> alert(const std::string& id) const {
    const json found = site_.ask({{"command", "alert-show"}, {"id", id}})["result"];
    if (!found.is_object() || found.contains("cleared")) return std::nullopt;
    return found;
  }
  json cleared(const std::string& id) const {
    return site_.ask({{"command", "alert-show"}, {"id", id}})["result"]["cleared"];
  }
  json alerts() const { return site_.ask({{"command", "alert-list"}})["result"]["alerts"]; }

  json guard() const { return site_.ask({{"command", "guard-list"}})["result"]["vips"][0]; }

  /// How they failed, and where: the guard let 512 of each network through.
  static void expect_evidence(const json& evidence) {
    const json& all = evidence["handshakes"];
    const int unanswered = all["unanswered_within_3_s"], reset = all["reset"];
    EXPECT_GT(unanswered + reset, 500) << evidence;
    EXPECT_NEAR(reset, unanswered, 50) << evidence;
    std::vector<std::string> networks;
    for (const json& one : evidence["client_networks"]) {
      networks.push_back(one["network"]);
      EXPECT_NEAR(one["share"].get<double>(), 0.5, 0.05) << evidence;
    }
    EXPECT_THAT(networks, testing::UnorderedElementsAre(std::string(kResetting) + "0/24",
                                                        std::string(kSilent) + "0/24"))
        << evidence;
    EXPECT_EQ(evidence["guard"]["sees_syn_acks"], true) << evidence;
  }

  TfodSite site_;
  std::optional<NetNs> clients_, server_;
  std::array<uint8_t, 6> mac_{2, 0, 0, 0, 0, 1};
};

TEST_F(TfodReflector, IsToldWithTheNetworksAndCleared) {
  ASSERT_TRUE(shell("ip link set t0 address 02:00:00:00:00:01"));
  const auto server = serve();
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(wait_until([&] { return browse(2) > 0; }));
  ASSERT_TRUE(wait_until([&] { return guard()["limit"] == kQueue / 8; })) << guard();

  Flood attack(*clients_, "t0_peer", stolen({kResetting, kSilent}), 500);
  const auto critical = [&] {
    const auto now = alert("reflector:web");
    return now && (*now)["severity"] == "critical";
  };
  ASSERT_TRUE(wait_until(critical, 20)) << site_.status() << guard();
  const double took = attack.seconds();
  attack.stop();
  const json told = *alert("reflector:web");
  std::printf("reflector: critical after %.1f s: %s\n", took, told["evidence"].dump().c_str());
  EXPECT_EQ(told["pool"], "web");
  expect_evidence(told["evidence"]);
  EXPECT_EQ(alerts().size(), 1U) << alerts() << "\nthe networks' are part of it";
  const double patience = full() ? 300 : 30;
  ASSERT_TRUE(wait_until([&] { return alerts().empty(); }, patience)) << alerts();
  EXPECT_EQ(cleared("reflector:web")["why"], "calm again");

  // One network alone, beside so many who are honest that the VIP is well.
  const Browsing honest([this] { return browse(50); });
  ASSERT_TRUE(wait_until([&] { return honest.seen() >= kHonest; }, 60)) << honest.seen();
  Flood other(*clients_, "t0_peer", stolen({kOther}), kOtherRate);
  const std::string id = std::string("reflector_network:") + kOther + "0/24";
  EXPECT_TRUE(wait_until([&] { return alert(id).has_value(); }, 40)) << alerts() << guard();
  std::printf("reflector_network: after %.1f s beside %d honest\n", other.seconds(), honest.seen());
  EXPECT_FALSE(alert("reflector:web")) << alerts();
}

}  // namespace
}  // namespace tfo::test::tfod_reflector_test
