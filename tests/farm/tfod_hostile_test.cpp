// SPDX-License-Identifier: BSD-2-Clause
// What others do to a running tfod: configurations made to break it, many VIPs, programs taken off
// behind its back, clients that never end.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <memory>

#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

class HostileWorld : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
  }
  void start() {
    tfod_ = std::make_unique<TfodProcess>(site_.write(), site_.path("log"));
    ASSERT_TRUE(tfod_->ready()) << tfod_->log();
  }

  TfodSite site_;
  std::unique_ptr<TfodProcess> tfod_;
};

TEST_F(HostileWorld, ANumberThatNothingHoldsIsRefusedLikeAnyOtherMistake) {
  start();
  std::string text = site_.config.dump();
  text.insert(text.size() - 1, R"(, "log_level": 1e999)");
  std::ofstream(site_.path("tfod.json")) << text;
  tfod_->signal(SIGHUP);
  ASSERT_TRUE(wait_until([&] { return site_.raised("config_refused"); })) << tfod_->log();
  EXPECT_EQ(tfod_->wait(0), -1) << "it must go on";
  EXPECT_THAT(tfod_->log(), ::testing::HasSubstr("number overflow parsing '1e999'"));
}

TEST_F(HostileWorld, ThousandsOfVipsInOnePoolStartAndReloadAtOnce) {
  for (int i = 0; i < 4096; ++i) {
    site_.config["vips"].push_back(
        {{"name", "v" + std::to_string(i)},
         {"addresses", {"10.7." + std::to_string(i / 256) + "." + std::to_string(i % 256)}},
         {"pool", "web"}});
  }
  const auto begun = steady_clock::now();
  start();
  tfod_->signal(SIGHUP);
  ASSERT_TRUE(tfod_->says("is in force")) << tfod_->log();
  // A grace period for each VIP, 10 ms, would take more than 80 s.
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(30));
  EXPECT_EQ(site_.ask({{"command", "vips"}})["result"]["vips"].size(), 4097U);
}

TEST_F(HostileWorld, AProgramTakenOffByForceIsPutBack) {
  start();
  const int link = bpf_obj_get((site_.bpffs().pins(site_.config["instance"]) / "links/t0").c_str());
  ASSERT_GE(link, 0);
  ASSERT_EQ(bpf_link_detach(link), 0);
  close(link);
  ASSERT_EQ(xdp_program_id("t0"), 0U);
  EXPECT_TRUE(wait_until([] { return xdp_program_id("t0") != 0; }, 20)) << tfod_->log();
  EXPECT_TRUE(tfod_->says("somebody took the program off"));
}

TEST_F(HostileWorld, AClientThatNeverEndsDoesNotHoldItsExit) {
  site_.config["http"] = {{"listen", "127.0.0.1:0"}};
  start();
  const std::string log = tfod_->log();
  const std::string before = "metrics at http://127.0.0.1:";
  ASSERT_NE(log.find(before), std::string::npos) << log;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port =
      htons(static_cast<uint16_t>(std::stoi(log.substr(log.find(before) + before.size()))));
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  // One whole request, so that a thread is surely busy with us, then a second one that never ends.
  const std::string whole = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
  ASSERT_GT(send(client, whole.data(), whole.size(), MSG_NOSIGNAL), 0);
  char answer[512];
  ASSERT_GT(recv(client, answer, sizeof(answer), 0), 0);
  ASSERT_GT(send(client, "GET /", 5, MSG_NOSIGNAL), 0);
  const auto begun = steady_clock::now();
  tfod_->signal(SIGTERM);
  while (tfod_->wait(0.5) == -1 && steady_clock::now() - begun < std::chrono::seconds(20)) {
    send(client, "x", 1, MSG_NOSIGNAL);
  }
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(10));
  close(client);
}

}  // namespace
}  // namespace tfo::test
