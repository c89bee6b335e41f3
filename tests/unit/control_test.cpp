// SPDX-License-Identifier: BSD-2-Clause
#include "loader/control.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <thread>

namespace tfo {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(LineBuffer, CutsLinesWhereverTheBytesWereCut) {
  const std::string stream = "one\n\ntwo\nthree";
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    LineBuffer buffer(16);
    std::vector<std::string> lines;
    for (size_t at = 0; at < stream.size(); at += piece) {
      const std::string part = stream.substr(at, piece);
      ASSERT_TRUE(buffer.append(part.data(), part.size()));
      while (auto line = buffer.take()) lines.push_back(*line);
    }
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two"})) << piece;
  }
}

TEST(LineBuffer, RefusesALineThatIsTooLong) {
  LineBuffer exact(4);
  EXPECT_TRUE(exact.append("1234\n", 5));
  EXPECT_EQ(exact.take(), "1234");
  LineBuffer with_end(4);
  EXPECT_FALSE(with_end.append("12345\n", 6));
  LineBuffer without_end(4);
  EXPECT_TRUE(without_end.append("1234", 4));
  EXPECT_FALSE(without_end.append("5", 1));
}

/// A server in a thread of its own, and clients that talk to it with blocking sockets.
class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/tfo_control_XXXXXX";
    directory_ = mkdtemp(pattern);
    path_ = directory_ + "/run/tfod.sock";
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    loop_ = std::move(*loop);
  }

  void TearDown() override {
    if (thread_.joinable()) {
      loop_->post([this] { loop_->quit(0); });
      thread_.join();
    }
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void serve(ControlLimits limits = {}) {
    auto server = ControlServer::open(
        *loop_, path_,
        [](const std::string& command, json& request) -> Result<json> {
          if (command == "echo") return request["what"];
          if (command == "large") return json(std::string(1'000'000, 'x'));
          return fail("no such command");
        },
        limits);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    thread_ = std::thread([this] { loop_->run(); });
  }

  Fd dial() const {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const timeval patience{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
  }

  static void say(const Fd& fd, const std::string& text) {
    ASSERT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  /// Up to a newline; "" at the end of the stream.
  static std::string hear(const Fd& fd) {
    std::string line;
    char c = 0;
    while (read(fd.get(), &c, 1) == 1 && c != '\n') line += c;
    return line;
  }

  std::string directory_;
  std::string path_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

TEST_F(ControlTest, AnswersEveryRequestInOrder) {
  serve();
  const Fd client = dial();
  say(client, R"({"command": "echo", "what": 1})"
              "\n"
              R"({"command": "echo", "what": [2]})"
              "\n{\"comm");
  EXPECT_EQ(hear(client), R"({"ok":true,"result":1})");
  EXPECT_EQ(hear(client), R"({"ok":true,"result":[2]})");
  say(client, "and\": \"none\"}\n");
  EXPECT_EQ(hear(client), R"({"error":"no such command","ok":false})");
}

TEST_F(ControlTest, RefusesWhatIsNoRequest) {
  serve();
  const Fd client = dial();
  for (const char* line : {"", "x", "[]", "{}", R"({"command": 7})", "\x01\xff"}) {
    say(client, std::string(line) + "\n");
    EXPECT_THAT(hear(client), HasSubstr("\"ok\":false")) << line;
  }
}

TEST_F(ControlTest, RefusesATextWithANul) {
  serve();
  const Fd client = dial();
  for (const char* line : {R"({"command": "echo\u0000", "what": 1})",
                           R"({"command": "echo", "what": "10.0.0.0\u0000/24"})",
                           R"({"command": "echo", "what": [{"a": ["x\u0000"]}]})",
                           R"({"command": "echo", "what": {"a\u0000b": 1}})"}) {
    say(client, std::string(line) + "\n");
    EXPECT_THAT(hear(client), HasSubstr("NUL")) << line;
  }
  say(client, R"({"command": "echo", "what": {"a": ["b", 0, null]}})"
              "\n");
  EXPECT_THAT(hear(client), HasSubstr("\"ok\":true"));
}

TEST_F(ControlTest, AnswersAClientThatHasFinishedSending) {
  serve();
  const Fd client = dial();
  say(client, "{\"command\": \"large\"}\n");
  shutdown(client.get(), SHUT_WR);
  EXPECT_GT(hear(client).size(), 1'000'000u);
  EXPECT_EQ(hear(client), "");
}

TEST_F(ControlTest, CutsOffALineThatIsTooLong) {
  serve({.clients = 4, .line_bytes = 100, .patience = std::chrono::seconds(10)});
  const Fd client = dial();
  say(client, std::string(101, 'a'));
  EXPECT_THAT(hear(client), HasSubstr("request longer than 100 bytes"));
  EXPECT_EQ(hear(client), "");
}

TEST_F(ControlTest, BoundsItsClientsAndCutsOffThoseThatStall) {
  serve({.clients = 2, .line_bytes = 100, .patience = std::chrono::milliseconds(300)});
  const Fd first = dial();
  const Fd second = dial();
  say(first, "{\"command\": \"echo\", \"what\": 1}\n");
  EXPECT_EQ(hear(first), R"({"ok":true,"result":1})");
  const Fd third = dial();
  EXPECT_THAT(hear(third), HasSubstr("too many clients"));
  EXPECT_EQ(hear(second), "");  // never asked: its time is over
  EXPECT_EQ(hear(first), "");
  const Fd fourth = dial();
  say(fourth, "{\"command\": \"echo\", \"what\": 4}\n");
  EXPECT_EQ(hear(fourth), R"({"ok":true,"result":4})");
}

TEST_F(ControlTest, AReaderThatStallsDoesNotHoldUpTheOthers) {
  serve();
  const Fd stalled = dial();
  say(stalled, "{\"command\": \"large\"}\n");
  const Fd client = dial();
  say(client, "{\"command\": \"echo\", \"what\": 1}\n");
  EXPECT_EQ(hear(client), R"({"ok":true,"result":1})");
}

TEST_F(ControlTest, TheSocketIsForItsOwnerAndASecondServerIsRefused) {
  serve();
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  auto second = ControlServer::open(*loop_, path_, {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("another tfod serves " + path_));
  EXPECT_EQ(stat(path_.c_str(), &status), 0);
}

TEST_F(ControlTest, AStaleSocketIsReplacedAndAnyOtherFileIsNot) {
  std::filesystem::create_directory(directory_ + "/run");
  {
    const Fd stale(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    ASSERT_EQ(bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  serve();
  const Fd client = dial();
  say(client, "{\"command\": \"echo\", \"what\": 1}\n");
  EXPECT_EQ(hear(client), R"({"ok":true,"result":1})");
  const std::string file = directory_ + "/file";
  const Fd made(open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  auto refused = ControlServer::open(*loop_, file, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("is no socket"));
}

TEST(WipeStrings, ReachesEveryString) {
  json document = {{"a", "secret"}, {"b", {1, "secret", {{"c", "secret"}}}}};
  wipe_strings(document);
  EXPECT_EQ(document.dump().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace tfo
