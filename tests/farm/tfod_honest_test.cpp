// SPDX-License-Identifier: BSD-2-Clause
// Honest traffic of real kernels raises no alert, though one SYN-ACK in a second that is taken for
// an attack would: rules are a hundred times as strict as they are shipped.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
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
#include "tests/support/other_program.h"
#include "tests/support/outcome.h"
#include "tests/support/packet.h"
#include "tests/support/slow_wire.h"
#include "tests/support/talkative_server.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using Fate = SlowWire::Fate;

constexpr int kMany = 60;     // connections of a manner
constexpr int kProof = 25;    // that a SYN is seen to leave: 20 are asked for
constexpr int kPorts = 200;   // that a scanner tries
constexpr double kLong = 10;  // seconds
constexpr uint16_t kOpen = 80;
constexpr uint16_t kDeaf = 82;       // the first ACK of a client is lost
constexpr uint16_t kLossy = 83;      // the first SYN
constexpr uint16_t kDeferring = 84;  // TCP_DEFER_ACCEPT
constexpr uint16_t kSlow = 85;       // answers are held until they are released
constexpr uint16_t kClosed = 9;
constexpr const char* kServer = "198.18.0.1";
constexpr const char* kNobody = "198.19.0.1";

/// Who connects, and is watched by this name.
const std::map<std::string, std::string> kPeople = {
    {"succeeds", "192.0.2.51"}, {"times-out", "192.0.2.52"},  {"is-refused", "192.0.2.53"},
    {"is-deaf", "192.0.2.54"},  {"asks-again", "192.0.2.55"}, {"is-deferred", "192.0.2.56"},
    {"gives-up", "192.0.2.57"}, {"scans", "192.0.2.58"},
};
constexpr const char* kChecker = "192.0.2.20";  // VIP "shop", which originates

/// A connection that is on its way.
Fd begin(const std::string& from, const std::string& to, uint16_t port, int retries = 6) {
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in here{}, there{};
  here.sin_family = there.sin_family = AF_INET;
  inet_pton(AF_INET, from.c_str(), &here.sin_addr);
  inet_pton(AF_INET, to.c_str(), &there.sin_addr);
  there.sin_port = htons(port);
  setsockopt(client.get(), IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries));
  EXPECT_EQ(bind(client.get(), reinterpret_cast<sockaddr*>(&here), sizeof(here)), 0) << from;
  const int done = connect(client.get(), reinterpret_cast<sockaddr*>(&there), sizeof(there));
  EXPECT_TRUE(done == 0 || errno == EINPROGRESS || errno == ECONNREFUSED) << to;
  return client;
}

std::vector<Fd> begin_many(const std::string& from, const std::string& to, uint16_t port, int count,
                           int retries = 6) {
  std::vector<Fd> all;
  all.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) all.push_back(begin(from, to, port, retries));
  return all;
}

/// How many ended like this: errno, 0 = connected.
int ended(const std::vector<Fd>& clients, int how) {
  int count = 0;
  for (const Fd& client : clients) {
    pollfd wait{.fd = client.get(), .events = POLLOUT, .revents = 0};
    int error = -1;
    socklen_t size = sizeof(error);
    if (poll(&wait, 1, static_cast<int>(kLong * 1000)) == 1) {
      getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    count += error == how ? 1 : 0;
  }
  return count;
}

/// Node t0 <- t0_peer wire w0 -> w1 servers.
class TfodHonest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    for (auto* ns : {&between_, &servers_}) {
      auto made = NetNs::create(ns == &between_ ? "tfo-hon-w" : "tfo-hon-s");
      ASSERT_OK(made);
      ns->emplace(std::move(*made));
    }
    wire_node();
    wire_servers();
    for (const uint16_t port : {kOpen, kDeaf, kLossy, kSlow}) serve(port);
    const int seconds = 1;
    setsockopt(serve(kDeferring), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
    wire_ = std::make_unique<SlowWire>(*between_, "t0_peer", "w0",
                                       [this](const auto& one) { return fate(one); });
    configure();
  }

  void wire_node() {
    std::string words = "ip link set t0_peer netns " + between_->name() +
                        " && ethtool -K t0 tx off > /dev/null"
                        " && ip address add 10.9.0.1/24 dev t0"
                        " && ip route add 198.18.0.0/15 via 10.9.0.2";
    for (const auto& [name, address] : kPeople)
      words += " && ip address add " + address + " dev lo";
    ASSERT_TRUE(shell(words + " && ip address add " + kChecker + " dev lo"));
    // A second connection to where the last one was.
    ASSERT_TRUE(shell("sysctl -qw net.ipv4.tcp_tw_reuse=1"));
  }

  void wire_servers() {
    ASSERT_OK(between_->ip("link add w0 type veth peer name w1 netns " + servers_->name()));
    for (const char* words : {"link set w0 addrgenmode none up", "link set t0_peer up"}) {
      ASSERT_OK(between_->ip(words));
    }
    for (const char* words :
         {"link set lo up", "link set w1 address 02:00:00:00:00:09 addrgenmode none up",
          "address add 10.9.0.2/24 dev w1", "route add default via 10.9.0.1",
          "route add local 198.18.0.0/16 dev lo", "route add blackhole 198.19.0.0/16"}) {
      ASSERT_OK(servers_->ip(words));
    }
    ASSERT_TRUE(shell("ip netns exec " + servers_->name() + " ethtool -K w1 tx off > /dev/null"));
  }

  int serve(uint16_t port) {
    const NetNs::Inside inside(*servers_);
    listeners_.push_back(listen_at(port, 4096));
    return listeners_.back().get();
  }

  void configure() {
    json tracked = json::array();
    for (const auto& [name, address] : kPeople) {
      tracked.push_back({{"name", name}, {"prefixes", {address}}});
    }
    site_.config["monitor"] = {{"tracked", std::move(tracked)}};
    site_.config["vips"].push_back(
        {{"name", "shop"}, {"addresses", {kChecker}}, {"pool", "web"}, {"originates", true}});
    site_.config["alerts"]["rules"]["tracked"]["warning"] = {
        {"rate", 1}, {"hold", "0"}, {"share", 0.001}};
    site_.config["alerts"]["rules"]["vip"]["warning"] = {
        {"rate", 1}, {"hold", "0"}, {"sources", 1}};
  }

  /// Runs in the wire's thread.
  Fate fate(const SlowWire::Crossing& one) {
    const uint8_t flags = one.flags & (kSyn | kAck | kRst | kFin);
    const bool first_ack = one.destination_port == kDeaf && flags == kAck;
    const bool first_syn = one.destination_port == kLossy && flags == kSyn;
    if (one.to_right && (first_ack || first_syn)) {
      return seen_[{one.source_port, one.destination_port}]++ == 0 ? Fate::kLost : Fate::kPasses;
    }
    const bool late = !one.to_right && one.source_port == kSlow && flags == (kSyn | kAck);
    return late ? Fate::kHeld : Fate::kPasses;
  }

  json watched(const std::string& name) const { return site_.watched(name); }
  bool counts(const std::string& name, const char* field, int least) const {
    return wait_until([&] { return watched(name)[field] >= least; }, kLong);
  }
  bool becomes(const std::string& name, const std::string& readiness) const {
    return wait_until([&] { return watched(name)["readiness"] == readiness; }, kLong);
  }

  /// It is shown that SYNs of all these are seen to leave.
  void prove(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      const std::string from = name == "shop" ? kChecker : kPeople.at(name);
      EXPECT_EQ(ended(begin_many(from, kServer, kOpen, kProof), 0), kProof) << name;
    }
    for (const std::string& name : names) EXPECT_TRUE(becomes(name, "ready")) << watched(name);
  }

  /// Connections of people who do not wait for an answer: it waits in the wire.
  void give_up(const std::string& name, int count = kMany) const {
    const size_t before = wire_->held();
    const auto clients = begin_many(kPeople.at(name), kServer, kSlow, count);
    EXPECT_TRUE(wait_until([&] { return wire_->held() >= before + static_cast<size_t>(count); }));
  }

  void expect_no_alert() const {
    const auto out = site_.path("alerts");
    const std::string words = fmt::format("{}/tfoctl --socket {} -j alert list > {}", TFO_BIN_DIR,
                                          site_.config["socket"].get<std::string>(), out.string());
    ASSERT_TRUE(shell(words));
    EXPECT_EQ(json::parse(slurp(out))["alerts"], json::array());
  }

  /// SYN-ACKs that somebody never asked for: the control.
  void expect_alert_of(const std::string& name) const {
    std::vector<Bytes> frames;
    for (uint16_t port = 20'000; port < 20'100; ++port) {
      frames.push_back(spoofed(kPeople.at(name)).ports(port, kOpen).frame());
    }
    const Flood attack(*between_, "w0", std::move(frames), 20);
    const std::string id = "tracked:" + name;
    const auto raised = [&] {
      return site_.ask({{"command", "alert-show"}, {"id", id}})["result"].is_object();
    };
    EXPECT_TRUE(wait_until(raised, kLong)) << watched(name);
  }
  /// As another node would send it, straight to the servers.
  Packet spoofed(const std::string& victim) const {
    Packet syn = Packet::syn(victim, kServer);
    syn.link.destination = server_mac_;
    return syn;
  }

  TfodSite site_;
  std::optional<NetNs> between_, servers_;
  std::array<uint8_t, 6> server_mac_{2, 0, 0, 0, 0, 9};
  std::vector<Fd> listeners_;
  std::map<std::pair<uint16_t, uint16_t>, int> seen_;
  std::unique_ptr<SlowWire> wire_;
};

TEST_F(TfodHonest, EverythingAtOnce) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  std::vector<std::string> all = {"shop"};
  for (const auto& [name, address] : kPeople) all.push_back(name);
  prove(all);

  const auto of = [](const char* name) { return kPeople.at(name); };
  give_up("gives-up");
  const auto times_out = begin_many(of("times-out"), kNobody, kOpen, kMany, 1);
  const auto asks_again = begin_many(of("asks-again"), kServer, kLossy, kMany);
  const auto is_deaf = begin_many(of("is-deaf"), kServer, kDeaf, kMany);
  const auto is_deferred = begin_many(of("is-deferred"), kServer, kDeferring, kMany);
  const auto succeeds = begin_many(of("succeeds"), kServer, kOpen, kMany);
  const auto checks = begin_many(kChecker, kServer, kOpen, kMany);
  const auto is_refused = begin_many(of("is-refused"), kServer, kClosed, kMany);
  std::vector<Fd> scans;
  scans.reserve(kPorts);
  for (uint16_t port = 0; port < kPorts; ++port) {
    scans.push_back(begin(of("scans"), kServer, static_cast<uint16_t>(1000 + port)));
  }
  EXPECT_EQ(ended(succeeds, 0), kMany);
  EXPECT_EQ(ended(checks, 0), kMany);
  EXPECT_EQ(ended(is_refused, ECONNREFUSED), kMany);
  EXPECT_EQ(ended(scans, ECONNREFUSED), kPorts);
  EXPECT_EQ(ended(is_deaf, 0), kMany);
  EXPECT_EQ(ended(is_deferred, 0), kMany);
  EXPECT_EQ(ended(asks_again, 0), kMany);
  EXPECT_EQ(ended(times_out, ETIMEDOUT), kMany);
  wire_->release();

  for (const char* name : {"succeeds", "shop", "asks-again", "gives-up"}) {
    EXPECT_TRUE(counts(name, "answered", kProof + kMany)) << watched(name);
  }
  for (const char* name : {"is-deaf", "is-deferred"}) {
    EXPECT_TRUE(counts(name, "answered", kProof + 2 * kMany)) << watched(name);
  }
  for (const char* name : {"times-out", "asks-again"}) {
    EXPECT_TRUE(counts(name, "syns_out", kProof + 2 * kMany)) << watched(name);
  }
  EXPECT_TRUE(counts("is-refused", "syns_out", kProof + kMany));
  EXPECT_TRUE(counts("scans", "syns_out", kProof + kPorts));
  for (const std::string& name : all) {
    const json is = watched(name);
    EXPECT_EQ(is["readiness"], "ready") << is;
    EXPECT_EQ(is["unsolicited"], 0) << is;
    EXPECT_EQ(is["resets"], 0) << is;
  }
  expect_no_alert();
  expect_alert_of("succeeds");
}

TEST_F(TfodHonest, TfodIsStartedAgainInTheMiddle) {
  if (full()) {  // one that is not this node's is warm after 138 s alone, and again at once
    site_.config["monitor"]["tracked"].push_back({{"name", "far"}, {"prefixes", {"192.0.2.99"}}});
  }
  const auto config = site_.write();
  const auto tfod = std::make_unique<TfodProcess>(config, site_.path("log"));
  ASSERT_TRUE(tfod->ready()) << tfod->log();
  prove({"gives-up"});
  const auto warm = [&] { return watched("far")["readiness"] == "unproven"; };
  if (full()) ASSERT_TRUE(wait_until(warm, 160));
  give_up("gives-up");
  tfod->signal(SIGTERM);
  ASSERT_EQ(tfod->wait(), 0);
  give_up("gives-up");
  TfodProcess next(config, site_.path("log2"));
  ASSERT_TRUE(next.ready()) << next.log();
  EXPECT_TRUE(!full() || warm()) << watched("far");
  wire_->release();
  EXPECT_TRUE(counts("gives-up", "answered", kProof + 2 * kMany)) << watched("gives-up");
  EXPECT_EQ(watched("gives-up")["unsolicited"], 0);
  EXPECT_TRUE(becomes("gives-up", "ready")) << watched("gives-up");
  expect_no_alert();
  expect_alert_of("gives-up");
}

/// As VRRP moves it: what it opened elsewhere is answered here.
TEST_F(TfodHonest, AnAddressGoesAndComesBack) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  prove({"succeeds", "gives-up"});
  const std::string moved = kPeople.at("gives-up");
  ASSERT_TRUE(shell("ip address del " + moved + "/32 dev lo"));
  EXPECT_TRUE(becomes("gives-up", "not_warm")) << watched("gives-up");
  std::vector<Bytes> frames;
  for (uint16_t port = 20'000; port < 20'100; ++port) {
    frames.push_back(spoofed(moved).ports(port, kSlow).frame());
  }
  Flood elsewhere(*between_, "w0", std::move(frames), 1'000);
  ASSERT_TRUE(wait_until([&] { return wire_->held() >= 100; }));
  elsewhere.stop();
  ASSERT_TRUE(shell("ip address add " + moved + "/32 dev lo"));
  wire_->release();
  EXPECT_TRUE(counts("gives-up", "unsolicited", 100)) << watched("gives-up");
  EXPECT_EQ(watched("gives-up")["readiness"], "not_warm");
  EXPECT_EQ(watched("succeeds")["readiness"], "ready") << "it stayed where it was";
  expect_no_alert();
  expect_alert_of("succeeds");
}

TEST_F(TfodHonest, AnotherProgramKeepsSynsFromOurs) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  prove({"gives-up"});
  const Fd other = end_chain("t0");
  if (!other) GTEST_SKIP() << "no tcx here";
  give_up("gives-up");
  EXPECT_EQ(ended(begin_many(kPeople.at("gives-up"), kServer, kOpen, kProof), 0), kProof);
  wire_->release();
  EXPECT_TRUE(counts("gives-up", "unsolicited", kMany)) << watched("gives-up");
  EXPECT_EQ(watched("gives-up")["readiness"], "unproven") << watched("gives-up");
  EXPECT_TRUE(site_.raised("tracking_unproven"));
  expect_no_alert();
}

/// What leaves the node is what is remembered: SYN-ACKs come back to that, and XDP sees them first.
TEST_F(TfodHonest, AnotherProgramRewritesWhatLeaves) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  prove({"succeeds"});
  const int before = watched("succeeds")["answered"];
  const Fd other = rewrite_ports("t0");
  if (!other) GTEST_SKIP() << "no tcx here";
  const auto clients = begin_many(kPeople.at("succeeds"), kServer, kOpen, kMany);
  EXPECT_TRUE(counts("succeeds", "answered", before + kMany)) << watched("succeeds");
  pollfd wait{.fd = clients[0].get(), .events = POLLOUT, .revents = 0};
  EXPECT_EQ(poll(&wait, 1, 0), 0) << "nothing rewrites what comes back to it";
  EXPECT_EQ(watched("succeeds")["unsolicited"], 0) << watched("succeeds");
  EXPECT_EQ(watched("succeeds")["readiness"], "ready");
  expect_no_alert();
}

TEST_F(TfodHonest, OurProgramIsTakenOffForFiveSeconds) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  prove({"gives-up"});
  const std::string pin = site_.bpffs().pins() / "egress" / "t0";
  if (!std::filesystem::exists(pin)) GTEST_SKIP() << "no tcx here";
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < std::chrono::seconds(5)) {
    const Fd link(bpf_obj_get(pin.c_str()));
    if (!link) continue;  // tfod puts another in its place
    (void)bpf_link_detach(link.get());
    give_up("gives-up", 1);
    wire_->release();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(counts("gives-up", "unsolicited", kMany)) << watched("gives-up");
  EXPECT_TRUE(becomes("gives-up", "not_warm")) << watched("gives-up");
  EXPECT_TRUE(wait_until([&] { return site_.status()["interfaces"][0]["tracks"] == true; }));
  expect_no_alert();
}

}  // namespace
}  // namespace tfo::test
