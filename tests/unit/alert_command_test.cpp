// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "loader/alert/command_hook.h"

namespace tfo::alert::alert_command_test {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::HasSubstr;

struct World {
  World() {
    char name[] = "/tmp/tfo_alert_command.XXXXXX";
    directory = mkdtemp(name);
  }
  ~World() {
    hook.reset();
    std::filesystem::remove_all(directory);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void open(const std::string& script, std::vector<std::string> arguments = {},
            seconds timeout = seconds(10)) {
    const std::filesystem::path path = directory / "hook";
    std::ofstream(path) << "#!/bin/sh\ncd " << directory.string() << "\n" << script;
    chmod(path.c_str(), 0700);
    start(path, std::move(arguments), timeout);
  }

  void start(const std::string& path, std::vector<std::string> arguments, seconds timeout) {
    hook = *CommandHook::create(
        *loop, {.path = path, .arguments = std::move(arguments), .timeout = timeout});
  }

  void take(const std::string& subject, Change::What what = Change::What::kRaised) const {
    hook->take({.what = what, .alert = {.rule = "vip", .subject = subject}, .at = 7});
  }

  bool wait(const std::function<bool()>& condition) const {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      sd_event_run(loop->handle(), 20'000);
    }
    return condition();
  }

  std::string file(const std::string& name) const {
    std::ifstream stream(directory / name);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }

  std::filesystem::path directory;
  std::unique_ptr<EventLoop> loop = *EventLoop::create();
  std::unique_ptr<CommandHook> hook;
};

TEST(AlertCommand, GetsTheChangeOnItsInput) {
  World world;
  world.open("cat > input; echo \"$# $1\" > arguments; env > environment; pwd > where\n",
             {"two words; $(id)"});
  world.take("web");
  ASSERT_TRUE(world.wait([&] { return world.hook->runs() == 1; }));
  const json input = json::parse(world.file("input"));
  EXPECT_EQ(input["what"], "raised");
  EXPECT_EQ(input["at"], 7);
  EXPECT_EQ(input["alert"]["id"], "vip:web");
  EXPECT_EQ(world.file("arguments"), "1 two words; $(id)\n") << "no shell has seen them";
  EXPECT_THAT(world.file("environment"), HasSubstr("TFO_ALERT=vip:web\n"));
  EXPECT_THAT(world.file("environment"), HasSubstr("TFO_WHAT=raised\n"));
  EXPECT_EQ(world.hook->failures(), 0U);
}

TEST(AlertCommand, HasNoPrivilegesAndNoDescriptors) {
  ASSERT_EQ(setenv("TFO_TEST_SECRET", "x", 1), 0);
  World world;
  world.open("cat /proc/self/status > status; ls /proc/$$/fd > fds; env > environment\n");
  const Fd leaked(dup(1));  // without FD_CLOEXEC
  world.take("web");
  ASSERT_TRUE(world.wait([&] { return world.hook->runs() == 1; }));
  unsetenv("TFO_TEST_SECRET");
  for (const char* line :
       {"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1", "SigBlk:\t0000000000000000"}) {
    EXPECT_THAT(world.file("status"), HasSubstr(line));
  }
  EXPECT_THAT(world.file("environment"), testing::Not(HasSubstr("SECRET")));
  // The shell's own: standard ones, and the script that it reads.
  for (const std::string& name : {std::string("fds")}) {
    EXPECT_THAT(world.file(name), testing::Not(HasSubstr(std::to_string(leaked.get()) + "\n")));
  }
}

TEST(AlertCommand, OneAtATimeAndInOrder) {
  World world;
  world.open("mkdir busy || echo overlap >> log; echo $TFO_ALERT >> log; sleep 0.05; rmdir busy\n");
  for (const char* name : {"a", "b", "c"}) world.take(name);
  world.take("evidence", Change::What::kEvidence);
  world.take("d", Change::What::kCleared);
  ASSERT_TRUE(world.wait([&] { return world.hook->runs() == 4; }));
  EXPECT_EQ(world.file("log"), "vip:a\nvip:b\nvip:c\nvip:d\n");
  EXPECT_FALSE(world.hook->busy());
}

TEST(AlertCommand, OneThatHangsIsKilledWithItsChildren) {
  World world;
  world.open("[ $TFO_ALERT = vip:b ] || { sleep 1000 & echo $! > child; wait; }\n", {}, seconds(1));
  world.take("a");
  world.take("b");
  ASSERT_TRUE(world.wait([&] { return world.hook->runs() == 1; }));
  EXPECT_EQ(world.hook->failures(), 1U);
  const pid_t child = std::stoi(world.file("child"));
  EXPECT_TRUE(world.wait([&] {
    std::ifstream status("/proc/" + std::to_string(child) + "/stat");
    std::string text;
    std::getline(status, text);
    return text.empty() || text.find(") Z") != std::string::npos;
  }));
}

TEST(AlertCommand, FailuresAreCounted) {
  World world;
  world.open("exit 3\n");
  world.take("a");
  ASSERT_TRUE(world.wait([&] { return world.hook->failures() == 1; }));
  world.start(world.directory / "nothing", {}, seconds(10));
  world.take("a");
  ASSERT_TRUE(world.wait([&] { return world.hook->failures() == 1; }));
  world.open("sleep 1000\n");
  for (int i = 0; i < 70; ++i) world.take("a");
  EXPECT_EQ(world.hook->failures(), 70 - 1 - CommandHook::kMostQueued) << "one runs, 64 wait";
}

}  // namespace
}  // namespace tfo::alert::alert_command_test
