// SPDX-License-Identifier: BSD-2-Clause
// The dead man's switch of a derived pool with a real tfod: a ring that nobody renews, for want of
// the secret or of the daemon, ends at its not_after; and everything heals by itself.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>

#include "loader/audit/address.h"
#include "loader/audit/packet.h"
#include "loader/dataplane/live_set.h"
#include "loader/dataplane/totals.h"
#include "loader/keys/derived_ring.h"
#include "loader/server/server_bit.h"
#include "tests/support/frame_sender.h"
#include "tests/support/packet.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int64_t kInterval = 10;
constexpr int64_t kNotAfter = 10;  // the shortest that there is
constexpr double kLate = 6;        // tfod looks every 5 s
constexpr char kClient[] = "192.0.2.77";
constexpr char kVip[] = "192.0.2.10";

double wall() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// What `tfoctl key derive` prints for that time.
std::string derive(const std::string& secret, int64_t at) {
  const std::string command = fmt::format("{}/tfoctl key derive --secret {} --interval {} --at {}",
                                          TFO_BIN_DIR, secret, kInterval, at);
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  char line[128] = "";
  std::string text = fgets(line, sizeof(line), pipe) != nullptr ? line : "";
  pclose(pipe);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

class DerivedDeadMan : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    write_secret();
    set_clock("0");
    site_.config["pools"] = {{"web",
                              {{"store", "derived"},
                               {"secret", site_.path("secret")},
                               {"interval", fmt::format("{}s", kInterval)},
                               {"not_after", fmt::format("{}s", kNotAfter)},
                               {"max_skew", "0s"}}}};
    site_.config["server"] = {{"namespaces", {{{"pool", "web"}}}}};
  }

  void write_secret() const {
    std::ofstream(site_.path("secret")) << std::string(32, 'd');
    chmod(site_.path("secret").c_str(), 0600);
  }
  void set_clock(const std::string& text) const {
    std::ofstream(site_.path("clock.new")) << text << "\n";
    std::filesystem::rename(site_.path("clock.new"), site_.path("clock"));
  }

  static bool server_bit() {
    return (std::stoul(slurp("/proc/sys/net/ipv4/tcp_fastopen")) & kFastopenServer) != 0;
  }
  /// Does this namespace hold what `tfoctl key derive` says, or what it said until a moment ago?
  bool right(double offset = 0) const {
    std::string held = slurp("/proc/sys/net/ipv4/tcp_fastopen_key");
    while (held.ends_with('\n')) held.pop_back();
    const double now = wall() + offset - kDerivedDelay;
    for (const double time : {now, now - 1}) {
      if (held == derive(site_.path("secret"), static_cast<int64_t>(time))) return true;
    }
    return false;
  }

  /// A SYN with a cookie under the present key.
  static Bytes syn_with_cookie() {
    const auto secret = DerivedSecret::parse(std::string(32, 'd'));
    const auto half = DerivedHalf::at(kInterval, static_cast<int64_t>(wall()));
    const auto key = secret->key(static_cast<uint64_t>(half.index));
    const tfo_flow flow =
        audit::flow_of(*audit::parse_packet_address(kClient), *audit::parse_packet_address(kVip));
    const uint64_t cookie = tfo_make_cookie(key->k0(), key->k1(), &flow);
    Bytes bytes(sizeof(cookie));
    std::memcpy(bytes.data(), &cookie, sizeof(cookie));
    return Packet::syn(kClient, kVip).ports(40000, 80).option(fast_open(bytes)).frame();
  }

  /// Packets that the pinned maps have counted with one of these reasons; no daemon is asked.
  uint64_t counted(std::initializer_list<tfo_reason> reasons) const {
    auto stats = Map::open_pin("stats", site_.bpffs().pins() / "maps/stats");
    auto base = Map::open_pin("stats_base", site_.bpffs().pins() / "maps/stats_base");
    if (!stats || !base) return 0;
    const auto totals = read_totals(*stats, &*base, stats->entries());
    uint64_t sum = 0;
    if (!totals) return 0;
    for (const auto& counters : *totals) {
      for (const tfo_reason reason : reasons) sum += reason_total(counters, reason);
    }
    return sum;
  }
  uint64_t no_key() const { return counted({TFO_NO_KEY}); }
  uint64_t valid() const {
    return counted({TFO_COOKIE_CURRENT, TFO_COOKIE_STAGED, TFO_COOKIE_PREVIOUS});
  }
  /// Sends the frame until `count` says that it has risen: a sent frame takes a moment to arrive.
  static bool counts(const Bytes& frame, const std::function<uint64_t()>& count) {
    const uint64_t before = count();
    FrameSender("t0_peer").send({frame}, 1);
    return wait_until([&] { return count() > before; }, 1);
  }

  /// The latest not_after of the ring in force.
  int64_t ring_ends() const {
    const json reply = site_.ask({{"command", "keys"}});
    int64_t end = 0;
    for (const json& one : reply["result"]["pools"][0]["generations"]) {
      end = std::max(end, one["not_after"].get<int64_t>());
    }
    return end;
  }
  std::string severity(const std::string& id) const {
    const json now = site_.status();
    for (const json& condition : now["conditions"]) {
      if (condition["id"] == id) return condition["severity"];
    }
    return "";
  }

  TfodSite site_;
};

TEST_F(DerivedDeadMan, WithoutItsSecretTheServerIsSwitchedOffUntilItIsBack) {
  TfodProcess tfod(site_.write(), site_.path("log"), {}, clocked_tfod(site_.path("clock")));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(wait_until([] { return server_bit(); })) << tfod.log();
  ASSERT_TRUE(std::filesystem::remove(site_.path("secret")));
  const double removed = wall();
  ASSERT_TRUE(wait_until([&] { return site_.raised("key_store_failed"); }, kLate)) << tfod.log();
  const int64_t end = ring_ends();
  EXPECT_LE(static_cast<double>(end), removed + kNotAfter + 1);
  ASSERT_TRUE(wait_until([] { return !server_bit(); }, kNotAfter + kLate)) << tfod.log();
  const double off = wall();
  EXPECT_GE(off, static_cast<double>(end));
  EXPECT_LE(off, static_cast<double>(end) + kLate);
  std::printf("bit 0x2 went %.1f s after the secret, %.1f s after not_after\n", off - removed,
              off - static_cast<double>(end));
  EXPECT_EQ(severity("no_key"), "critical") << site_.status();
  EXPECT_EQ(severity("server_off"), "critical") << site_.status();
  EXPECT_TRUE(counts(syn_with_cookie(), [&] { return no_key(); }));
  // Eleven minutes later, by tfod's clock only.
  set_clock("0 660");
  EXPECT_TRUE(tfod.says(" still so: no_key web: ", kLate)) << tfod.log();
  EXPECT_TRUE(tfod.says(": Fast Open is off here: every key is past", kLate)) << tfod.log();
  EXPECT_FALSE(server_bit());
  write_secret();
  EXPECT_TRUE(wait_until([] { return server_bit(); }, kLate)) << tfod.log();
  EXPECT_TRUE(right(660)) << tfod.log();
  for (const char* id : {"no_key", "server_off", "key_store_failed"}) {
    EXPECT_TRUE(wait_until([&] { return !site_.raised(id); }, kLate)) << id << tfod.log();
  }
}

TEST_F(DerivedDeadMan, WithoutTheDaemonTheProgramStopsByItselfAndARestartHeals) {
  const auto config = site_.write();
  Bytes frame;
  int64_t end = 0;
  {
    TfodProcess tfod(config, site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
    ASSERT_TRUE(wait_until([] { return server_bit(); })) << tfod.log();
    frame = syn_with_cookie();
    end = ring_ends();
    tfod.signal(SIGKILL);
    ASSERT_EQ(tfod.wait(), 128 + SIGKILL);
  }
  EXPECT_TRUE(counts(frame, [&] { return valid(); }));
  EXPECT_EQ(no_key(), 0u);
  ASSERT_TRUE(wait_until([&] { return counts(frame, [&] { return no_key(); }); }, kNotAfter + 2));
  const double over = wall();
  std::printf("no_key %.1f s after not_after\n", over - static_cast<double>(end));
  EXPECT_GE(over, static_cast<double>(end) - 0.1);
  EXPECT_LE(over, static_cast<double>(end) + 2.5) << "asked once a second";
  EXPECT_TRUE(server_bit()) << "nobody is there to clear it";
  const uint64_t before = no_key();
  TfodProcess tfod(config, site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_TRUE(right()) << tfod.log();
  EXPECT_TRUE(server_bit());
  EXPECT_TRUE(counts(syn_with_cookie(), [&] { return valid(); }));
  EXPECT_EQ(no_key(), before);
  EXPECT_TRUE(site_.status()["conditions"].empty()) << site_.status();
}

}  // namespace
}  // namespace tfo::test
