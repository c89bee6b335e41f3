// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/monitor_farm.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/support/flood.h"
#include "tests/support/frame_sender.h"
#include "tests/support/outcome.h"
#include "tests/support/talkative_server.h"

namespace tfo::test {

using nlohmann::json;

namespace {

constexpr int kBacklog = 4096;

bool is_ipv6(const std::string& address) { return address.find(':') != std::string::npos; }

std::string network_text(unsigned network, bool ipv6) {
  return ipv6 ? fmt::format("2001:db8:f{:03x}::/48", network)
              : fmt::format("198.18.{}.0/24", network);
}

}  // namespace

void MonitorFarm::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(site_.ok());
  for (auto* ns : {&attacker_, &reflectors_}) {
    auto made = NetNs::create(ns == &attacker_ ? "tfo-mon-a" : "tfo-mon-r");
    ASSERT_OK(made);
    ns->emplace(std::move(*made));
  }
  wire();
  wire_reflectors();
  listen();
  site_.config["monitor"] = {
      {"tracked", {{{"name", "office"}, {"prefixes", {kOffice}}}}},
      {"prefixes", {{{"name", "net"}, {"prefix", "203.0.113.0/24"}, {"kind", "silent"}}}}};
}

void MonitorFarm::wire() {
  ASSERT_TRUE(shell("ip link set t0_peer netns " + reflectors_->name() +
                    " && ip link set t0 address 02:00:00:00:00:02"
                    " && ip address add 10.9.0.1/24 dev t0"
                    " && ip address add 2001:db8:e::1/64 dev t0 nodad"
                    " && ip address add " +
                    kOffice +
                    "/32 dev lo"
                    " && ip route add 198.18.0.0/16 via 10.9.0.2"));
  ASSERT_OK(reflectors_->ip("link add a1 type veth peer name a0 netns " + attacker_->name()));
  ASSERT_OK(reflectors_->ip("link set a1 address 02:00:00:00:00:01 addrgenmode none up"));
  ASSERT_OK(attacker_->ip("link set a0 addrgenmode none up"));
}

void MonitorFarm::wire_reflectors() {
  for (const char* words :
       {"link set lo up", "link set t0_peer addrgenmode none up",
        "address add 10.9.0.2/24 dev t0_peer", "address add 2001:db8:e::2/64 dev t0_peer nodad",
        "route add default via 10.9.0.1", "route add default via 2001:db8:e::1",
        // Nobody has a link-local address to ask from.
        "neigh add 2001:db8:e::1 lladdr 02:00:00:00:00:02 dev t0_peer",
        "route add local 198.18.0.0/16 dev lo", "route add local 2001:db8:f000::/36 dev lo"}) {
    ASSERT_OK(reflectors_->ip(words));
  }
  ASSERT_OK(reflectors_->sysctl("ipv4/conf/all/rp_filter", "0"));
  ASSERT_OK(reflectors_->sysctl("ipv4/conf/a1/rp_filter", "0"));
  // A listener that answers every SYN at once, as one with room for all of them would.
  ASSERT_OK(reflectors_->sysctl("ipv4/tcp_syncookies", "2"));
  ASSERT_OK(reflectors_->sysctl("core/somaxconn", std::to_string(1 << 16)));
}

void MonitorFarm::listen() {
  const NetNs::Inside inside(*reflectors_);
  listener_ = listen_at(kPort, kBacklog);
}

std::string MonitorFarm::reflector(unsigned network, const std::string& victim, unsigned host) {
  return is_ipv6(victim) ? fmt::format("2001:db8:f{:03x}::{:x}", network, host)
                         : fmt::format("198.18.{}.{}", network, host);
}

std::vector<Packet> MonitorFarm::spoofed(const std::vector<std::string>& victims, uint16_t port) {
  std::vector<Packet> syns;
  std::vector<unsigned> networks;
  for (unsigned i = 1; i <= kNetworks; ++i) networks.insert(networks.end(), i, i);
  for (unsigned i = 0; i < 64 * networks.size(); ++i) {
    // Neighbours in the list go to different networks.
    const unsigned network = networks[i * 35 % networks.size()];
    const std::string& victim = victims[i % victims.size()];
    syns.push_back(Packet::syn(victim, reflector(network, victim))
                       .ports(static_cast<uint16_t>(port + i), kPort));
  }
  return syns;
}

double stolen_seconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double time = 0;
  stat >> cpu;
  for (int column = 0; column < 8; ++column) stat >> time;  // the eighth is steal: proc_stat(5)
  return time / static_cast<double>(sysconf(_SC_CLK_TCK) * sysconf(_SC_NPROCESSORS_ONLN));
}

bool MonitorFarm::watches(const TfodProcess& tfod) const {
  // Nothing shows yet that the office's SYNs are seen to leave.
  return tfod.ready() && wait_until([&] { return !alert_list()["waiting"].empty(); });
}

uint64_t MonitorFarm::reflected() const {
  const NetNs::Inside inside(*reflectors_);
  return interface_drops("t0_peer").sent;
}

json MonitorFarm::alert_list() const { return site_.ask({{"command", "alert-list"}})["result"]; }

std::optional<json> MonitorFarm::alert(const std::string& id) const {
  const json found = site_.ask({{"command", "alert-show"}, {"id", id}})["result"];
  if (!found.is_object() || found.contains("cleared")) return std::nullopt;
  return found;
}

bool MonitorFarm::is_critical(const std::string& id) const {
  const auto now = alert(id);
  return now && (*now)["severity"] == "critical";
}

json MonitorFarm::attack(const Attack& attack) const {
  std::vector<Bytes> frames;
  for (const Packet& syn : spoofed(attack.victims, 20'000)) frames.push_back(syn.frame());
  const uint64_t before = reflected();
  const double stolen = stolen_seconds();
  Flood flood(*attacker_, "a0", std::move(frames), attack.rate);
  const bool raised = wait_until([&] { return is_critical(attack.id); }, 2 * kGoal);
  const double took = flood.seconds();
  flood.stop();
  EXPECT_TRUE(raised) << attack.id << " at " << attack.rate
                      << "/s: " << site_.watched(attack.id.substr(attack.id.find(':') + 1));
  if (!raised) return {};
  EXPECT_LT(took, goal(stolen_seconds() - stolen)) << attack.id;
  const auto sent = static_cast<double>(reflected() - before);
  const auto told = [&] {
    const auto now = alert(attack.id);
    return now ? (*now)["packets"].get<double>() : 0;
  };
  wait_until([&] { return told() > 0.999 * sent; }, 3);
  EXPECT_NEAR(told() / sent, 1, 0.05) << attack.id;
  std::printf("%s: critical after %.1f s; %.0f packets told, %.0f reflected\n", attack.id.c_str(),
              took, told(), sent);
  return alert(attack.id).value_or(json());
}

void MonitorFarm::expect_top_ten(const json& alert, const std::string& victim) {
  std::vector<std::string> found, wanted;
  for (const json& row : alert["evidence"]["top"]["reflectors"]) found.push_back(row["network"]);
  for (unsigned i = kNetworks; i > kNetworks - 10; --i) {
    wanted.push_back(network_text(i, is_ipv6(victim)));
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(wanted)) << alert["evidence"].dump();
}

}  // namespace tfo::test
