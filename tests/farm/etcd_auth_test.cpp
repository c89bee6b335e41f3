// SPDX-License-Identifier: BSD-2-Clause
// TLS, client certificates, users and tokens on a real etcd of three members.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "loader/etcd/lease.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/etcd_session.h"

namespace tfo::test {
namespace {

using etcd::FaultKind;
using Kind = etcd::WatchNotice::Kind;
using testing::HasSubstr;
using testing::Not;

#define ASSERT_ANSWER(outcome) ASSERT_TRUE(outcome) << (outcome).error().message

class EtcdAuth : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs();
    EtcdSession session(cluster_.config());
    ASSERT_EQ(enable_authentication(session), "");
  }

  std::string password_file(const std::string& password) {
    const auto path = cluster_.path("password");
    std::ofstream(path) << password << '\n';
    chmod(path.c_str(), 0600);
    return path;
  }

  etcd::Config as_tfod(size_t first = 0) {
    etcd::Config config = cluster_.config(first);
    config.user = "tfod";
    config.password_file = password_file("tfod-password");
    return config;
  }

  EtcdCluster cluster_{true};
};

TEST_F(EtcdAuth, UserReadsAndWritesWhatTheRoleReaches) {
  EtcdSession session(as_tfod());
  ASSERT_ANSWER(session.put("/tfo/a", "1"));
  auto read = session.read("/tfo/a");
  ASSERT_ANSWER(read);
  EXPECT_EQ(read->kvs.at(0).value, "1");
  auto lease = session.await<etcd::Lease>([&](auto done) {
    return etcd::lease_grant(session.client(), std::chrono::seconds(30), 0, std::move(done));
  });
  ASSERT_ANSWER(lease);
  auto revoked = session.await<etcd::Header>(
      [&](auto done) { return etcd::lease_revoke(session.client(), lease->id, std::move(done)); });
  ASSERT_ANSWER(revoked);
  auto denied = session.put("/other/a", "1");
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().kind, FaultKind::kDenied);
  EXPECT_FALSE(etcd::outcome_unknown(denied.error()));
  EXPECT_THAT(denied.error().message, HasSubstr("grant farm.etcd.user a role"));
}

TEST_F(EtcdAuth, WrongPasswordAndNoUser) {
  auto config = as_tfod();
  password_file("hunter2-hunter2");
  EtcdSession wrong(config);
  auto refused = wrong.put("/tfo/a", "1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FaultKind::kAuthentication);
  EXPECT_THAT(refused.error().message,
              HasSubstr("check farm.etcd.user and farm.etcd.password_file"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("hunter2")));
  EtcdWatchLog log(wrong, {"/tfo/a", "", 1});
  ASSERT_TRUE(log.wait(Kind::kInterrupted)) << log.text();
  EXPECT_THAT(log.last(Kind::kInterrupted)->text, HasSubstr("check farm.etcd.user"));
  // Right once the file is.
  password_file("tfod-password");
  ASSERT_ANSWER(wrong.put("/tfo/a", "1"));
  ASSERT_TRUE(log.wait_value("1")) << log.text();

  EtcdSession nobody(cluster_.config());
  auto unnamed = nobody.put("/tfo/a", "1");
  ASSERT_FALSE(unnamed);
  EXPECT_EQ(unnamed.error().kind, FaultKind::kAuthentication);
  EXPECT_THAT(unnamed.error().message, HasSubstr("give farm.etcd.user"));
}

TEST_F(EtcdAuth, WatchOfWhatTheRoleDoesNotReach) {
  EtcdSession session(as_tfod());
  EtcdWatchLog log(session, {"/other/", etcd::prefix_end("/other/"), 1});
  ASSERT_TRUE(log.wait(Kind::kDenied)) << log.text();
  EXPECT_TRUE(log.last(Kind::kDenied)->ended());
  EXPECT_THAT(log.last(Kind::kDenied)->text, HasSubstr("grant it a role"));
}

/// Tokens live in the members' memory: a restarted member answers 401 to a request, and refuses a
/// watch as if the user might not read.
TEST_F(EtcdAuth, TokenForgottenByARestartedMember) {
  auto config = as_tfod();
  config.endpoints = {cluster_.endpoint(0)};
  EtcdSession session(config);
  auto first = session.put("/tfo/a", "1");
  ASSERT_ANSWER(first);
  EtcdWatchLog log(session, {"/tfo/a", "", first->header.revision});
  ASSERT_TRUE(log.wait_value("1")) << log.text();
  cluster_.kill9(0);
  cluster_.restart(0);
  ASSERT_TRUE(cluster_.wait_member(0));
  // The watch comes first: nothing else has fetched a new token.
  ASSERT_TRUE(log.wait(Kind::kCreated, 2)) << log.text();
  EXPECT_EQ(log.count(Kind::kDenied), 0U) << log.text();

  cluster_.kill9(0);
  cluster_.restart(0);
  ASSERT_TRUE(cluster_.wait_member(0));
  EtcdSession other(config);
  ASSERT_ANSWER(other.put("/tfo/a", "2"));
  ASSERT_ANSWER(session.put("/tfo/a", "3"));
  ASSERT_TRUE(log.wait_value("3")) << log.text();
}

/// The put alone, without a watch that would have fetched the token.
TEST_F(EtcdAuth, WriteWithAForgottenTokenIsSentAgain) {
  auto config = as_tfod();
  config.endpoints = {cluster_.endpoint(0)};
  EtcdSession session(config);
  ASSERT_ANSWER(session.put("/tfo/a", "1"));
  cluster_.kill9(0);
  cluster_.restart(0);
  ASSERT_TRUE(cluster_.wait_member(0));
  ASSERT_ANSWER(session.put("/tfo/a", "2"));
  auto read = session.read("/tfo/a");
  ASSERT_ANSWER(read);
  EXPECT_EQ(read->kvs.at(0).version, 2);
}

/// A change of users or roles makes every token stale.
TEST_F(EtcdAuth, TokenOlderThanTheUsers) {
  EtcdSession session(as_tfod());
  ASSERT_ANSWER(session.put("/tfo/a", "1"));
  auto config = cluster_.config();
  config.user = "root";
  config.password_file = cluster_.path("root-password");
  std::ofstream(config.password_file) << "root-password";
  chmod(config.password_file.c_str(), 0600);
  EtcdSession root(config);
  ASSERT_ANSWER(root.post("/v3/auth/user/add", {{"name", "x"}, {"password", "y"}}));
  ASSERT_ANSWER(session.put("/tfo/a", "2"));
}

TEST_F(EtcdAuth, CertificateWithACommonName) {
  auto config = as_tfod();
  config.cert_file = cluster_.path("named.crt");
  config.key_file = cluster_.path("named.key");
  EtcdSession session(config);
  auto refused = session.put("/tfo/a", "1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FaultKind::kRefused);
  EXPECT_THAT(refused.error().message, HasSubstr("make one without CN"));
  EtcdWatchLog log(session, {"/tfo/a", "", 1});
  ASSERT_TRUE(log.wait(Kind::kInterrupted)) << log.text();
  EXPECT_THAT(log.last(Kind::kInterrupted)->text, HasSubstr("make one without CN"));
}

TEST_F(EtcdAuth, CertificatesThatDoNotFit) {
  auto config = cluster_.config();
  config.cert_file.clear();
  config.key_file.clear();
  EtcdSession without(config);
  auto refused = without.put("/tfo/a", "1");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("check farm.etcd.cert_file"));

  config = cluster_.config();
  config.ca_file = cluster_.path("client.crt");
  EtcdSession stranger(config);
  auto unknown = stranger.put("/tfo/a", "1");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, FaultKind::kUnreachable);
  EXPECT_THAT(unknown.error().message, HasSubstr("check farm.etcd.ca_file"));
}

TEST(EtcdAuthOff, UserThatEtcdDoesNotAskFor) {
  EtcdCluster cluster;
  ASSERT_TRUE(cluster.wait_healthy()) << cluster.logs();
  auto config = cluster.config();
  config.user = "tfod";
  config.password_file = cluster.path("password");
  std::ofstream(config.password_file) << "tfod-password";
  chmod(config.password_file.c_str(), 0600);
  EtcdSession session(config);
  ASSERT_ANSWER(session.put("/tfo/a", "1"));
  EtcdSession admin(cluster.config());
  ASSERT_EQ(enable_authentication(admin), "");
  ASSERT_ANSWER(session.put("/tfo/a", "2"));  // from now on it does
}

}  // namespace
}  // namespace tfo::test
