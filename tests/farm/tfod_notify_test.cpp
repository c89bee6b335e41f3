// SPDX-License-Identifier: BSD-2-Clause
// What tfod tells its service manager (sd_notify(3)), and whom its control socket turns away.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <ctime>

#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

uint64_t monotonic_usec() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

/// The service manager's end of NOTIFY_SOCKET.
class Manager {
 public:
  explicit Manager(const std::string& path)
      : path_(path), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un address = address_of(path);
    ok_ = bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  bool ok() const { return ok_; }
  std::string environment() const { return "NOTIFY_SOCKET=" + path_; }

  /// The next message, or nothing after `seconds`.
  std::string next(int seconds = 20) const {
    pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, seconds * 1000) != 1) return {};
    char buffer[4096];
    const ssize_t n = read(fd_.get(), buffer, sizeof(buffer));
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
  }

 private:
  std::string path_;
  Fd fd_;
  bool ok_ = false;
};

class TfodNotify : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
  }
  TfodSite site_;
};

TEST_F(TfodNotify, ReadyReloadingStopping) {
  const Manager manager(site_.path("notify"));
  ASSERT_TRUE(manager.ok());
  TfodProcess tfod(site_.write(), site_.path("log"), {"env", manager.environment()});
  EXPECT_THAT(manager.next(), StartsWith("READY=1\nSTATUS=1 interfaces, 1 VIPs, 1 key pools"));
  EXPECT_EQ(site_.ask({{"command", "status"}})["ok"], true) << "not ready: " << tfod.log();

  // A reload that is refused ends like one that is taken: systemd waits for READY=1.
  for (const char* pool : {"web", "wbe"}) {
    site_.config["vips"][0]["pool"] = pool;
    site_.write();
    const uint64_t before = monotonic_usec();
    tfod.signal(SIGHUP);
    const std::string reloading = manager.next();
    const uint64_t after = monotonic_usec();
    const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
    ASSERT_THAT(reloading, StartsWith(head)) << tfod.log();
    const uint64_t at = std::stoull(reloading.substr(head.size()));
    EXPECT_GE(at, before);
    EXPECT_LE(at, after);
    EXPECT_THAT(manager.next(), StartsWith("READY=1"));
  }
  EXPECT_THAT(tfod.log(), HasSubstr("is in force"));
  EXPECT_THAT(tfod.log(), HasSubstr("there is no pool \"wbe\""));

  tfod.signal(SIGTERM);
  EXPECT_THAT(manager.next(), StartsWith("STOPPING=1"));
  EXPECT_EQ(tfod.wait(), 0) << tfod.log();
}

TEST_F(TfodNotify, FeedsTheWatchdog) {
  const Manager manager(site_.path("notify"));
  ASSERT_TRUE(manager.ok());
  const TfodProcess tfod(site_.write(), site_.path("log"),
                         {"env", manager.environment(), "WATCHDOG_USEC=1000000"});
  std::vector<std::string> fed;
  for (int i = 0; i < 20 && fed.size() < 3; ++i) {
    const std::string message = manager.next();
    ASSERT_NE(message, "") << tfod.log();
    if (message.find("WATCHDOG=1") != std::string::npos) fed.push_back(message);
  }
  EXPECT_EQ(fed.size(), 3u) << tfod.log();
}

/// What another user gets of a control socket: sends a request and reads to the end.
enum class Outcome { kFailed = 10, kCannotConnect, kTurnedAway, kAnswered };

Outcome ask_as_nobody(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
        setresuid(kNobody, kNobody, kNobody) != 0) {
      _exit(static_cast<int>(Outcome::kFailed));
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      _exit(static_cast<int>(errno == EACCES ? Outcome::kCannotConnect : Outcome::kFailed));
    }
    constexpr char kRequest[] = "{\"command\":\"status\"}\n";
    const ssize_t sent = send(fd, kRequest, sizeof(kRequest) - 1, MSG_NOSIGNAL);
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, 20'000) != 1) _exit(static_cast<int>(Outcome::kFailed));
    char byte = 0;
    const bool answered = sent > 0 && read(fd, &byte, 1) > 0;
    _exit(static_cast<int>(answered ? Outcome::kAnswered : Outcome::kTurnedAway));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    return Outcome::kFailed;
  }
  return static_cast<Outcome>(WEXITSTATUS(status));
}

TEST_F(TfodNotify, TurnsOtherUsersAwayEvenIfTheSocketIsOpenToThem) {
  const TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string path = site_.path("run/tfod.sock");
  ASSERT_EQ(chmod(site_.path("").c_str(), 0755), 0);
  EXPECT_EQ(ask_as_nobody(path), Outcome::kCannotConnect) << "its directory is 0700";
  ASSERT_EQ(chmod(site_.path("run").c_str(), 0755), 0);
  EXPECT_EQ(ask_as_nobody(path), Outcome::kCannotConnect) << "it is 0600";
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(ask_as_nobody(path), Outcome::kTurnedAway);
  EXPECT_TRUE(tfod.says("control socket: user 65534 turned away")) << tfod.log();
  EXPECT_EQ(site_.ask({{"command", "status"}})["ok"], true);
}

}  // namespace
}  // namespace tfo::test
