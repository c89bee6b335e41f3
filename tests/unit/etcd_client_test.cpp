// SPDX-License-Identifier: BSD-2-Clause
// The client against servers that misbehave in ways a real etcd cannot be made to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

#include "loader/etcd/continuity.h"
#include "loader/etcd/kv.h"
#include "loader/etcd/lease.h"
#include "tests/support/canned_server.h"
#include "tests/support/capture_read.h"
#include "tests/support/etcd_session.h"

namespace tfo::test {
namespace {

using etcd::FaultKind;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

constexpr char kDone[] = R"({"header":{"cluster_id":"1","member_id":"2","revision":"7"}})";

CannedServer::Reply done(int64_t revision = 7, int64_t cluster = 1) {
  return CannedServer::reply(200, R"({"header":{"cluster_id":")" + std::to_string(cluster) +
                                      R"(","revision":")" + std::to_string(revision) + "\"}}");
}

etcd::Config config_of(const std::vector<std::string>& endpoints) {
  etcd::Config config;
  config.endpoints = endpoints;
  config.timeouts.connect = milliseconds(500);
  config.timeouts.read = milliseconds(300);
  config.timeouts.write = milliseconds(300);
  return config;
}

/// The fault of a put that a server answers like this.
etcd::Fault fault_of(const CannedServer::Reply& reply) {
  CannedServer server([&](const auto&) { return reply; });
  EtcdSession session(config_of({server.url()}));
  auto outcome = session.put("/tfo/a", "the value");
  EXPECT_FALSE(outcome);
  const etcd::Fault fault = outcome ? etcd::Fault() : outcome.error();
  EXPECT_THAT(fault.message, HasSubstr(server.url() + ": put: "));
  EXPECT_THAT(fault.message, Not(HasSubstr("the value")));
  if (etcd::outcome_unknown(fault)) {
    EXPECT_EQ(server.requests().size(), 1U) << "a write sent again: " << fault.message;
    EXPECT_THAT(fault.message, HasSubstr("read again"));
  }
  return fault;
}

TEST(EtcdClient, AnswersThatAreNotEtcds) {
  const auto kind = [](int status, const char* body, const char* type = "text/html") {
    return fault_of(CannedServer::reply(status, body, type)).kind;
  };
  EXPECT_EQ(kind(404, "Not Found\n"), FaultKind::kNotEtcd);
  EXPECT_EQ(kind(405, "Method Not Allowed"), FaultKind::kNotEtcd);
  EXPECT_EQ(kind(502, "<html>the value</html>"), FaultKind::kUnavailable);
  EXPECT_EQ(kind(200, "<html>login</html>"), FaultKind::kUnreadable);
  EXPECT_EQ(kind(200, ""), FaultKind::kUnreadable);
  EXPECT_EQ(kind(200, "{}"), FaultKind::kUnreadable);
  EXPECT_EQ(kind(200, "[]"), FaultKind::kUnreadable);
  EXPECT_EQ(kind(200, R"({"header":{"revision":"seven"}})"), FaultKind::kUnreadable);
  EXPECT_EQ(kind(200, R"({"header":{"revision":"7"})"), FaultKind::kUnreadable);  // cut
  EXPECT_EQ(kind(503, R"({"error":"x","message":"etcdserver: no leader","code":14})"),
            FaultKind::kUnavailable);
  EXPECT_EQ(kind(200, R"({"code":8,"message":"etcdserver: mvcc: database space exceeded"})"),
            FaultKind::kRefused);
  EXPECT_EQ(kind(200, R"({"error":{"grpc_code":14,"message":"etcdserver: no leader"}})"),
            FaultKind::kUnavailable);
}

TEST(EtcdClient, ConnectionThatEndsBeforeTheAnswer) {
  EXPECT_EQ(fault_of({"", false, true}).kind, FaultKind::kNoAnswer);
  EXPECT_EQ(fault_of({"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{\"hea", false, true}).kind,
            FaultKind::kNoAnswer);
  EXPECT_EQ(fault_of({"", true, false}).kind, FaultKind::kNoAnswer);  // silence
}

/// libcurl would send a POST again, by itself, when a connection that it kept turns out dead: a put
/// that was done would look refused.
TEST(EtcdClient, KeptConnectionThatDiesIsNoReasonToWriteTwice) {
  size_t n = 0;
  CannedServer server(
      [&](const auto&) { return ++n == 1 ? done() : CannedServer::Reply{"", false, true}; });
  EtcdSession session(config_of({server.url()}));
  ASSERT_TRUE(session.put("/tfo/a", "1"));
  auto lost = session.put("/tfo/a", "2");
  ASSERT_FALSE(lost);
  EXPECT_TRUE(etcd::outcome_unknown(lost.error())) << lost.error().message;
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(EtcdClient, WhatMayBeRepeatedGoesToTheNextEndpoint) {
  CannedServer silent([](const auto&) { return CannedServer::Reply{"", true, false}; });
  CannedServer wrong([](const auto&) { return CannedServer::reply(404, "no"); });
  CannedServer good([](const auto&) { return done(); });
  EtcdSession session(config_of({silent.url(), wrong.url(), good.url()}));
  auto read = session.read("/tfo/a");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(session.client().endpoints().current(), 2U);
  EXPECT_EQ(silent.requests().size(), 1U);
  EXPECT_EQ(wrong.requests().size(), 1U);

  EtcdSession writer(config_of({wrong.url(), silent.url(), good.url()}));
  auto lost = writer.put("/tfo/a", "1");  // 404: not done; silence: who knows
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, FaultKind::kNoAnswer);
  EXPECT_EQ(good.requests().size(), 1U) << "the read's only";
}

TEST(EtcdClient, CallThatIsDroppedIsNeverAnswered) {
  size_t n = 0;
  CannedServer server(
      [&](const auto&) { return ++n == 1 ? CannedServer::Reply{"", true, false} : done(); });
  EtcdSession session(config_of({server.url()}));
  bool answered = false;
  {
    const auto call =
        etcd::put(session.client(), {"/tfo/a", "1", 0}, [&](const auto&) { answered = true; });
    EXPECT_TRUE(session.until([&] { return !server.requests().empty(); }));
  }
  ASSERT_TRUE(session.put("/tfo/a", "2"));
  EXPECT_FALSE(answered);
}

TEST(EtcdClient, ClientMayGoInItsOwnCallback) {
  CannedServer server([](const auto&) { return done(); });
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  auto client = etcd::Client::create(**loop, config_of({server.url()}));
  ASSERT_TRUE(client);
  std::vector<etcd::Call> calls;
  calls.reserve(5);
  for (int i = 0; i < 3; i++) {
    calls.push_back(etcd::put(**client, {"/tfo/a", "1", 0}, [&](const auto&) {
      client->reset();
      (*loop)->quit(0);
    }));
  }
  EXPECT_EQ((*loop)->run(), 0);
  EXPECT_FALSE(*client);
}

TEST(EtcdClient, OlderRevisionsAndOtherClustersAreReported) {
  int64_t revision = 10;
  int64_t cluster = 1;
  CannedServer server([&](const auto&) { return done(revision, cluster); });
  EtcdSession session(config_of({server.url()}));
  EXPECT_FALSE(session.read("/tfo/a")->continuity.broken());
  revision = 9;
  const auto older = session.read("/tfo/a");
  EXPECT_EQ(older->continuity.rolled_back_from, 10);
  EXPECT_FALSE(session.read("/tfo/a")->continuity.broken());
  cluster = 2;
  EXPECT_TRUE(session.read("/tfo/a")->continuity.other_cluster);
  revision = 1;  // a member's own view may be old
  etcd::Range stale;
  stale.key = "/tfo/a";
  stale.serializable = true;
  EXPECT_FALSE(session.range(stale)->continuity.broken());
  EXPECT_EQ(session.client().revision(), 9);
}

TEST(EtcdContinuity, AnswersOnTheWayTogetherMayComeInAnyOrder) {
  etcd::ContinuityCheck check;
  const int64_t first = check.revision();
  const int64_t second = check.revision();
  EXPECT_FALSE(check.take({1, 1, 12, 1}, second).broken());
  EXPECT_FALSE(check.take({1, 1, 11, 1}, first).broken());
  EXPECT_EQ(check.revision(), 12);
  EXPECT_EQ(check.take({1, 1, 11, 1}, check.revision()).rolled_back_from, 12);
}

class EtcdUser : public testing::Test {
 protected:
  void SetUp() override {
    path_ = directory_.file("password");
    std::ofstream(path_) << "hunter2\"\\\nsecond line";
    chmod(path_.c_str(), 0600);
  }
  etcd::Config config(const std::string& url) {
    auto config = config_of({url});
    config.user = "tfod";
    config.password_file = path_;
    return config;
  }
  CaptureDirectory directory_;
  std::string path_;
};

TEST_F(EtcdUser, OneTokenForAllWhoWait) {
  CannedServer server([](const CannedServer::Request& request) {
    return request.path == "/v3/auth/authenticate"
               ? CannedServer::reply(200, R"({"token":"abc.1"})")
               : done();
  });
  EtcdSession session(config(server.url()));
  int answered = 0;
  std::vector<etcd::Call> calls;
  calls.reserve(5);
  for (int i = 0; i < 5; i++) {
    calls.push_back(etcd::put(session.client(), {"/tfo/a", "1", 0},
                              [&](const auto& reply) { answered += reply ? 1 : 0; }));
  }
  ASSERT_TRUE(session.until([&] { return answered == 5; }));
  int authentications = 0;
  for (const auto& request : server.requests()) {
    if (request.path == "/v3/auth/authenticate") {
      authentications++;
      EXPECT_EQ(request.body, R"({"name":"tfod","password":"hunter2\"\\"})");
      EXPECT_THAT(request.head, Not(HasSubstr("Authorization")));
    } else {
      EXPECT_THAT(request.head, HasSubstr("\r\nAuthorization: abc.1\r\n"));
      EXPECT_THAT(request.head, HasSubstr("\r\nGrpc-Metadata-hasleader: true\r\n"));
    }
  }
  EXPECT_EQ(authentications, 1);
}

TEST_F(EtcdUser, TokenIsFetchedAgainOnceOnly) {
  CannedServer server([](const CannedServer::Request& request) {
    if (request.path == "/v3/auth/authenticate") {
      return CannedServer::reply(200, R"({"token":"abc.1"})");
    }
    return CannedServer::reply(
        401, R"({"error":"x","message":"etcdserver: invalid auth token","code":16})");
  });
  EtcdSession session(config(server.url()));
  auto refused = session.put("/tfo/a", "1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FaultKind::kAuthentication);
  EXPECT_EQ(server.requests().size(), 4U);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("abc.1")));
}

TEST_F(EtcdUser, TokenThatWouldBreakTheHeaderIsRefused) {
  CannedServer server(
      [](const auto&) { return CannedServer::reply(200, R"({"token":"abc\r\nX-Other: 1"})"); });
  EtcdSession session(config(server.url()));
  auto refused = session.put("/tfo/a", "1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FaultKind::kUnreadable);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("abc")));
}

TEST_F(EtcdUser, PasswordFileMustBeOurs) {
  chmod(path_.c_str(), 0640);
  EtcdSession session(config("http://127.0.0.1:1"));
  auto refused = session.put("/tfo/a", "1");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("run chmod 600 on it"));
  chmod(path_.c_str(), 0600);
  auto text = etcd::read_password(path_);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->view(), "hunter2\"\\");
  std::ofstream(path_) << "\n";
  EXPECT_THAT(etcd::read_password(path_).error().message, HasSubstr("is empty"));
  std::ofstream(path_) << std::string(5000, 'x');
  EXPECT_THAT(etcd::read_password(path_).error().message, HasSubstr("longer than 4 KiB"));
  EXPECT_THAT(etcd::read_password(directory_.file(".")).error().message,
              HasSubstr("not a regular file"));
}

/// The environment must not send our requests elsewhere.
TEST(EtcdClient, ProxiesOfTheEnvironmentAreNotUsed) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  CannedServer server([](const auto&) { return CannedServer::reply(200, kDone); });
  EtcdSession session(config_of({server.url()}));
  EXPECT_TRUE(session.put("/tfo/a", "1"));
  unsetenv("http_proxy");
}

}  // namespace
}  // namespace tfo::test
