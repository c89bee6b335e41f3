// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl farm init` and `farm new-line` on a real etcd of three members.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "loader/rotation/document.h"
#include "loader/rotation/records.h"
#include "loader/rotation/seal.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/etcd_session.h"
#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using rotation::Document;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kFirst = "00112233-44556677-8899aabb-ccddeeff";
constexpr const char* kSecond = "0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";

class FarmInit : public testing::Test {
 protected:
  explicit FarmInit(bool tls = false) : cluster_(tls) {}

  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs();
    configure(cluster_.config());
  }

  /// tfod.json for a farm that meets there.
  void configure(const etcd::Config& etcd, const json& pools = {{"web", {{"store", "etcd"}}}}) {
    const json document = {
        {"state_directory", cluster_.path("state")},
        {"pools", pools},
        {"vips", {{{"name", "v"}, {"addresses", {"192.0.2.1"}}, {"pool", "web"}}}},
        {"interfaces", {{{"name", "eth0"}}}},
        {"farm",
         {{"name", "edge"},
          {"node", "lb1"},
          {"key_file", key_file()},
          {"etcd",
           {{"endpoints", etcd.endpoints},
            {"ca_file", etcd.ca_file},
            {"cert_file", etcd.cert_file},
            {"key_file", etcd.key_file}}}}}};
    std::ofstream(config()) << document.dump();
  }
  std::string config() const { return cluster_.path("tfod.json"); }
  std::string key_file() const { return cluster_.path("farm.key"); }

  Ran run(std::vector<std::string> words, const std::string& input = "") const {
    words.insert(words.begin(), "farm");
    words.insert(words.end(), {"--config", config()});
    return run_tfoctl(words, input);
  }

  std::string ring_value() const {
    EtcdSession session(cluster_.config());
    const auto read = session.read("/tfo/edge/web/ring");
    return read && !read->kvs.empty() ? read->kvs.front().value : "";
  }
  /// What lies in etcd, opened with the file's key.
  Document document() const {
    const auto key = rotation::FarmKey::load(key_file());
    EXPECT_TRUE(key) << key.error().message;
    const auto opened =
        rotation::Sealer("edge", "web").open(*key, 0, rotation::kRing, ring_value());
    EXPECT_TRUE(opened) << opened.error().message;
    const auto decoded = rotation::decode_document(opened->text);
    EXPECT_TRUE(decoded) << decoded.error().message;
    return *decoded;
  }
  unsigned key_file_mode() const {
    struct stat info{};
    return ::stat(key_file().c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
  }

  EtcdCluster cluster_;
};

class FarmInitTls : public FarmInit {
 protected:
  FarmInitTls() : FarmInit(true) {}
};

TEST_F(FarmInit, FirstIsWrittenAndSecondRefused) {
  const Ran first = run({"init"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("scp -p " + key_file()));
  EXPECT_EQ(key_file_mode(), 0600U);
  const Document document = this->document();
  EXPECT_EQ(document.state, rotation::State::kSteady);
  EXPECT_EQ(document.generations.size(), 1U);
  EXPECT_EQ(document.writer, "lb1");
  const std::string name = document.counter.text() + " (hash " + rotation::hash_of(document) + ")";
  EXPECT_THAT(first.out, HasSubstr(name));

  const std::string before = ring_value();
  const Ran second = run({"init", "web"});
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(second.out, "");
  EXPECT_THAT(second.err, HasSubstr("etcd has document " + name));
  EXPECT_THAT(second.err, HasSubstr("--force-new"));
  EXPECT_EQ(ring_value(), before);
}

TEST_F(FarmInit, ANewIncarnationIsAboveTheOldOne) {
  ASSERT_EQ(run({"init"}).code, 0);
  const Document before = document();
  // Within the same second too.
  const Ran ran = run({"init", "--force-new"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Document after = document();
  EXPECT_GT(after.counter, before.counter);
  EXPECT_GT(after.counter.incarnation, before.counter.incarnation);
  EXPECT_NE(after.current, before.current);
}

TEST_F(FarmInit, ALostKeyFile) {
  ASSERT_EQ(run({"init"}).code, 0);
  const Document before = document();
  EtcdSession session(cluster_.config());
  ASSERT_TRUE(session.put("/tfo/edge/web/member/s1", "sealed under what is lost"));
  ASSERT_TRUE(session.put("/tfo/edge/api/member/s1", "another pool's"));
  fs::remove(key_file());
  const Ran refused = run({"init"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr(before.counter.text()));
  EXPECT_THAT(refused.err, HasSubstr("there is no " + key_file()));
  EXPECT_FALSE(fs::exists(key_file())) << "a second key would look like the farm's";

  ASSERT_EQ(run({"init", "--force-new"}).code, 0);
  EXPECT_GT(document().counter, before.counter);
  EXPECT_TRUE(session.read("/tfo/edge/web/member/s1")->kvs.empty()) << "nobody can open it";
  EXPECT_FALSE(session.read("/tfo/edge/api/member/s1")->kvs.empty());
}

TEST_F(FarmInit, KeysToBeginWith) {
  const Ran ran = run({"init", "--key-file", "-", "-j"}, std::string(kFirst) + "\n" + kSecond);
  ASSERT_EQ(ran.code, 0) << ran.err;
  const json said = json::parse(ran.out);
  EXPECT_EQ(said["generations"], 2);
  EXPECT_EQ(said["key_file_made"], true);
  EXPECT_EQ((ran.out + ran.err).find("44556677"), std::string::npos);
  const Document document = this->document();
  EXPECT_EQ(document.find(document.current)->key.text().str(), kFirst);
  EXPECT_EQ(document.find(document.other)->key.text().str(), kSecond);
  EXPECT_EQ(ring_value().find("44556677"), std::string::npos);
}

TEST_F(FarmInit, TheKeyFileOfAnotherNodeIsTakenAsItIs) {
  std::ofstream(key_file()) << "# the edge's\n" << rotation::FarmKey::new_line(7).view();
  const Ran open = run({"init"});
  EXPECT_EQ(open.code, 2);
  EXPECT_THAT(open.err, HasSubstr("chmod it to 0600"));
  chmod(key_file().c_str(), 0600);
  ASSERT_EQ(run({"init"}).code, 0);
  EXPECT_EQ(document().min_key, 7U);
}

TEST_F(FarmInit, WithoutEtcdNothingIsMade) {
  etcd::Config nowhere = cluster_.config();
  nowhere.endpoints = {"http://127.0.0.1:1"};
  configure(nowhere);
  const Ran ran = run({"init"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("http://127.0.0.1:1"));
  EXPECT_FALSE(fs::exists(key_file()));
}

TEST_F(FarmInit, WithoutAQuorumItEndsAndCanBeRepeated) {
  cluster_.kill9(1);
  cluster_.kill9(2);
  const Ran ran = run({"init"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("etcd"));
  cluster_.restart(1);
  ASSERT_TRUE(cluster_.wait_member(1));
  const Ran again = run({"init"});
  EXPECT_EQ(again.code, 0) << again.err;
}

TEST_F(FarmInit, ConfigurationsThatDoNotDo) {
  const auto refused = [this](const std::vector<std::string>& words, const std::string& text) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr(text));
  };
  refused({"init", "api"}, "no pool 'api'");
  const json shared = {{"store", "etcd"}};
  configure(cluster_.config(), {{"web", shared}, {"api", shared}});
  refused({"init"}, "which pool? Name one of: api web");
  configure(cluster_.config(), {{"web", {{"store", "file"}}}});
  refused({"init"}, "no pool of the configuration has \"store\": \"etcd\"");
  std::ofstream(config()) << R"({"pools": {"web": {"store": "etcd"}}, "vip": []})";
  refused({"init"}, "farm");
  refused({"new-line"}, config());
  std::ofstream(config()) << "{";
  refused({"init"}, config());
  fs::remove(config());
  refused({"init"}, "--config FILE");
  EXPECT_FALSE(fs::exists(key_file()));
}

TEST_F(FarmInit, ANewLineKeepsTheOldOnes) {
  EXPECT_THAT(run({"new-line"}).err, HasSubstr("`tfoctl farm init` makes the first one"));
  ASSERT_EQ(run({"init"}).code, 0);
  const auto before = rotation::FarmKey::load(key_file());
  const Ran ran = run({"new-line"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("appended line 2"));
  EXPECT_THAT(ran.out, HasSubstr("tfoctl farm rekey --wait"));
  EXPECT_EQ(key_file_mode(), 0600U);
  const auto after = rotation::FarmKey::load(key_file());
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->numbers(), (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(after->fingerprint(1), before->fingerprint(1));
  EXPECT_EQ(json::parse(run({"-j", "new-line"}).out)["line"], 3);
  ASSERT_EQ(run({"new-line"}).code, 0);
  const Ran full = run({"new-line"});
  EXPECT_EQ(full.code, 2);
  EXPECT_THAT(full.err, HasSubstr("take line 1 out of it"));
  ASSERT_EQ(run({"init", "--force-new"}).code, 0);
  EXPECT_EQ(document().min_key, 4U);
}

TEST_F(FarmInitTls, Certificates) {
  etcd::Config wrong = cluster_.config();
  wrong.ca_file = cluster_.path("client.crt");
  configure(wrong);
  const Ran stranger = run({"init"});
  EXPECT_EQ(stranger.code, 2);
  EXPECT_THAT(stranger.err, HasSubstr("etcd.ca_file"));
  EXPECT_FALSE(fs::exists(key_file()));
  configure(cluster_.config());
  EXPECT_EQ(run({"init"}).code, 0);
}

}  // namespace
}  // namespace tfo::test
