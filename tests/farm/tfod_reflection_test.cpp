// SPDX-License-Identifier: BSD-2-Clause
// Reflection by real kernels beyond the plain SYN-ACK: Fast Open cookies and whole responses, IPv6,
// and an attack that is slow and low.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/capture_read.h"
#include "tests/support/flood.h"
#include "tests/support/frame_sender.h"
#include "tests/support/monitor_farm.h"
#include "tests/support/options.h"
#include "tests/support/outcome.h"
#include "tests/support/reference.h"
#include "tests/support/talkative_server.h"
#include "tests/support/wire_count.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using Kind = WireCount::Kind;

constexpr uint16_t kTalkative = 81;  // port of the server that sends responses
constexpr int kQueue = 1 << 16;      // handshakes that it holds
const Bytes kMss = {2, 4, 5, 180};
const std::string kVip6 = "2001:db8::10";
// A cookie under the key before the current one is good, and a new one comes with the SYN-ACK
// (tcp_fastopen_cookie_gen_check()).
const std::string kKey = "00112233-44556677-8899aabb-ccddeeff";
const std::string kKeyBefore = "a0bf63f7-ed803d81-cd641d30-cebc4a90";

/// What leaves the reflectors for the node, and reaches it.
class Truth {
 public:
  /// What left; of what kind the dropped ones were is not known.
  struct Counts {
    double answers = 0;  // SYN-ACKs
    double cookies = 0;  // that carry one
    double data = 0;
    double dropped = 0;
  };
  /// So many can have arrived.
  struct Range {
    double least = 0, most = 0;
    bool near(double told) const { return told <= 1.05 * most && told >= 0.95 * least; }
  };

  explicit Truth(const NetNs& reflectors)
      : reflectors_(reflectors),
        answers_(count(Kind::kSynAck)),
        cookies_(count(Kind::kSynAckWithCookie)),
        data_(count(Kind::kData)) {}

  void look() {
    const NetNs::Inside inside(reflectors_);
    // They are counted on their way to a queue, which may be full.
    const InterfaceDrops wire = interface_drops("t0_peer");
    looks_.push_back({.answers = static_cast<double>(answers_.total()),
                      .cookies = static_cast<double>(cookies_.total()),
                      .data = static_cast<double>(data_.total()),
                      .dropped = static_cast<double>(wire.dropped)});
  }
  const Counts& last() const { return looks_.back(); }
  Range arrived(double Counts::* kind) const {
    return {.least = least(last(), kind), .most = last().*kind};
  }
  /// Of the moment in which so many answers had arrived.
  Range when(double answers, double Counts::* kind) const {
    const auto look = [&](const auto& is_over) {
      const auto found = std::ranges::find_if(looks_, is_over);
      return found == looks_.end() ? looks_.back() : *found;
    };
    const Counts first = look([&](const Counts& one) { return one.answers >= answers; });
    const Counts most =
        look([&](const Counts& one) { return one.answers - one.dropped >= answers; });
    return {.least = least(first, kind), .most = most.*kind};
  }

 private:
  /// All that was dropped may be of this kind; but a queue does not choose: of what left, half of
  /// the part that was not dropped came at least.
  static double least(const Counts& counts, double Counts::* kind) {
    const double passed = 1 - counts.dropped / std::max(1.0, counts.answers + counts.data);
    return std::max(counts.*kind - counts.dropped, counts.*kind * passed / 2);
  }
  WireCount count(Kind kind) const {
    const NetNs::Inside inside(reflectors_);
    return {"t0_peer", kind};
  }

  const NetNs& reflectors_;
  WireCount answers_, cookies_, data_;
  std::vector<Counts> looks_;
};

class TfodReflection : public MonitorFarm {
 protected:
  /// Of the metric: SYN-ACKs to VIPs without (0) or with (1) a Fast Open option.
  double told(const std::string& option) const {
    const auto file = site_.path("metrics");
    const std::string where = site_.status()["http"];
    if (!shell("curl -sf http://" + where + "/metrics -o " + file.string())) return 0;
    const std::string text = slurp(file);
    const std::string line = "\ntfo_unsolicited_synack_packets_total{destination=\"vip\",tfo=\"" +
                             option + "\",payload=\"0\"} ";
    const size_t at = text.find(line);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size()));
  }

  /// The evidence of the moment in which the alert was raised.
  static void expect_shares(const json& volume, const Truth& truth) {
    const double all = volume["packets"], fast = volume["fast_open"];
    const double followed = volume["followed_at_least"]["packets"];
    const Truth::Range cookies = truth.when(all, &Truth::Counts::cookies);
    const Truth::Range data = truth.when(all, &Truth::Counts::data);
    EXPECT_TRUE(cookies.near(fast)) << volume << cookies.least << " to " << cookies.most;
    EXPECT_EQ(volume["payload_bytes"], 0) << "of SYN-ACKs";
    // Nobody looks for responses before the first second is over.
    EXPECT_GE(followed, data.least / 2) << volume;
    EXPECT_LE(followed, data.most * 1.05) << volume;
    EXPECT_EQ(volume["followed_at_least"]["bytes"], followed * TalkativeServer::kResponse);
  }

  /// SYNs with data and with cookies that the attacker was given when it had the victim's address;
  /// none comes twice within ten seconds.
  static std::vector<Bytes> with_cookies() {
    std::vector<Bytes> frames;
    const KeyBytes key = key_bytes(kKeyBefore);
    for (uint16_t port = 0; port < 4; ++port) {
      for (Packet& syn : spoofed({kVip}, static_cast<uint16_t>(1'024 + port * 8'000))) {
        const auto cookie = reference_cookie(key, syn.ip.source, syn.ip.destination);
        syn.tcp.destination = kTalkative;
        frames.push_back(syn.option(kMss).option(fast_open(cookie)).data(64).frame());
      }
    }
    return frames;
  }
  static std::vector<Bytes> plain() {
    std::vector<Bytes> frames;
    for (const Packet& syn : spoofed({kVip}, 50'000)) frames.push_back(syn.frame());
    return frames;
  }

  /// tfoctl with the site's socket; its standard output.
  std::string tfoctl(const std::string& words, int expected = 0) const {
    const auto out = site_.path("tfoctl.out");
    const int status =
        std::system(fmt::format("{}/tfoctl --socket {} {} > {}", TFO_BIN_DIR,
                                site_.config["socket"].get<std::string>(), words, out.string())
                        .c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == expected) << words << ": " << status;
    return slurp(out);
  }

  /// What an operator saves of the attack: at most twenty headers, no cookie in them. How many have
  /// an option for one; one in five or ten of the attack's has, so it may be none.
  size_t expect_headers(const std::string& id) const {
    const std::string file = site_.path("attack.pcap");
    const json shown = json::parse(tfoctl("-j alert show " + id + " --pcap " + file));
    EXPECT_EQ(shown["id"], id);
    const std::string text = slurp(file);
    const ReadCapture capture =
        read_capture(View(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
    EXPECT_EQ(capture.error, "");
    EXPECT_EQ(capture.frames.size(), 20U);
    size_t cookies = 0;
    const Bytes hidden = fast_open(Bytes(8, 0));
    for (const OwnedFrame& frame : capture.frames) {
      if (frame.bytes.size() < 44) ADD_FAILURE() << hex_dump(frame.bytes);
      if (frame.bytes.size() < 44) continue;
      EXPECT_EQ(frame.bytes[33] & 0x12, 0x12) << "a SYN-ACK";
      const size_t at = 20 + 20 + 4;  // behind the MSS
      if (frame.bytes.size() < at + hidden.size() || frame.bytes[at] != hidden[0]) continue;
      ++cookies;
      EXPECT_TRUE(std::equal(hidden.begin(), hidden.end(), frame.bytes.begin() + at))
          << hex_dump(frame.bytes);
    }
    if (!shell("command -v tcpdump > /dev/null")) return cookies;
    EXPECT_TRUE(shell(fmt::format("tcpdump -nr {} > {}.txt 2> /dev/null", file, file)));
    const std::string lines = slurp(file + ".txt");
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 20) << lines;
    return cookies;
  }
};

/// A part of the servers' answers are whole responses: the alert says how much of it is Fast Open.
TEST_F(TfodReflection, WithCookiesAndResponses) {
  ASSERT_OK(reflectors_->sysctl("ipv4/tcp_fastopen", "2"));
  ASSERT_OK(reflectors_->sysctl("ipv4/tcp_fastopen_key", kKey + "," + kKeyBefore));
  ASSERT_OK(reflectors_->sysctl("ipv4/tcp_syncookies", "1"));  // with 2 nobody gets Fast Open
  const TalkativeServer server = [&] {
    const NetNs::Inside inside(*reflectors_);
    return TalkativeServer(kTalkative, kQueue);
  }();
  site_.config["http"] = {{"listen", "127.0.0.1:0"}};
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(watches(tfod)) << tfod.log();

  const double stolen = stolen_seconds();
  Truth truth(*reflectors_);
  Flood fast_open(*attacker_, "a0", with_cookies(), 2'000);
  Flood flood(*attacker_, "a0", plain(), 4'500);
  const auto raised = [&] {
    truth.look();
    return is_critical("vip:web");
  };
  ASSERT_TRUE(wait_until(raised, 2 * kGoal)) << watched("web");
  const double took = flood.seconds();
  EXPECT_LT(took, goal(stolen_seconds() - stolen));
  EXPECT_TRUE(wait_until([&] { return expect_headers("vip:web") > 0; }, 10));
  fast_open.stop();
  flood.stop();
  expect_shares((*alert("vip:web"))["evidence"]["volume"], truth);

  // What nobody answers is sent again for a minute.
  const auto near = [&] {
    truth.look();
    return truth.arrived(&Truth::Counts::answers).near(told("0") + told("1")) &&
           truth.arrived(&Truth::Counts::cookies).near(told("1"));
  };
  EXPECT_TRUE(wait_until(near, 5));
  const Truth::Counts& sent = truth.last();
  EXPECT_GT(sent.cookies / sent.answers, 0.1) << "the servers did not take the cookies";
  std::printf(
      "vip:web: critical after %.1f s; %.0f of %.0f SYN-ACKs told, %.0f of %.0f with cookies, %.0f "
      "responses\n",
      took, told("0") + told("1"), sent.answers, told("1"), sent.cookies, sent.data);
}

TEST_F(TfodReflection, OfIpv6) {
  site_.config["vips"][0]["addresses"].push_back(kVip6);
  site_.config["monitor"]["prefixes"].push_back(
      {{"name", "dark"}, {"prefix", "2001:db8:1::/48"}, {"kind", "silent"}});
  // Slow and low, all the while, at another VIP.
  site_.config["vips"].push_back(
      {{"name", "shop"}, {"addresses", {"192.0.2.20"}}, {"pool", "web"}});
  if (!full()) {  // ten minutes are twenty seconds here, and 600 packets 60
    site_.config["alerts"]["rules"]["vip_slow"] = {
        {"warning", {{"window", "20s"}, {"volume", 60}}}};
  }
  std::vector<Bytes> drops;
  for (unsigned host = 1; host < 200; ++host) {
    drops.push_back(Packet::syn("192.0.2.20", reflector(host % kNetworks + 1, kVip, host))
                        .ports(static_cast<uint16_t>(2'000 + host), kPort)
                        .frame());
  }
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(watches(tfod)) << tfod.log();
  Flood slow(*attacker_, "a0", std::move(drops), 5);

  const json vip = attack({.id = "vip:web", .victims = {kVip6}, .rate = 7'000});
  ASSERT_TRUE(vip.is_object());
  EXPECT_EQ(vip["evidence"]["top"]["victims"][0]["address"], kVip6);
  expect_top_ten(vip, kVip6);
  std::vector<std::string> carpet;
  for (int i = 1; i < 251; ++i) carpet.push_back(fmt::format("2001:db8:1:{:x}::{:x}", i, i));
  const json dark = attack({.id = "carpet:dark", .victims = carpet, .rate = 30'000});
  ASSERT_TRUE(dark.is_object());
  EXPECT_NEAR(dark["evidence"]["addresses_hit"], carpet.size(), 0.05 * 250) << "an estimate";
  const json& net = dark["evidence"]["top"]["victim_networks"][0];
  EXPECT_TRUE(net["network"].get<std::string>().starts_with("2001:db8:1:")) << net;
  EXPECT_NEAR(net["share"], 1.0 / 250, 0.1 / 250) << "exact, of each /64: " << net;
  EXPECT_EQ(dark["evidence"]["exact"], json({"victim_networks"}));
  expect_top_ten(dark, kVip6);

  const std::string id = "vip_slow:shop";
  ASSERT_TRUE(wait_until([&] { return alert(id).has_value(); }, full() ? 200 : 40))
      << watched("shop");
  const double took = slow.seconds();
  slow.stop();
  const auto told = [&] { return watched("shop")["unsolicited"].get<uint64_t>(); };
  EXPECT_TRUE(wait_until([&] { return told() == slow.sent(); }, 5)) << told();
  const json shown = *alert(id);
  EXPECT_EQ(shown["severity"], "warning");
  EXPECT_GE(shown["sources"], 50);
  EXPECT_NEAR(shown["packets"].get<double>() / static_cast<double>(slow.sent()), 1, 0.05);
  EXPECT_EQ(alerts(), 3U) << alert_list();
  std::printf("%s: after %.1f s; %lu packets told, %lu sent\n", id.c_str(), took, told(),
              slow.sent());
}

}  // namespace
}  // namespace tfo::test
