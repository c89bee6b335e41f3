// SPDX-License-Identifier: BSD-2-Clause
// What a leader makes of the records that lie in etcd, and of those that are gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "loader/rotation/roster.h"
#include "tests/unit/key_pool_world.h"
#include "tests/unit/rotation_world.h"

namespace tfo::rotation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RotationRoster : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-roster-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    settings_.farm = "edge";
    settings_.pool = "web";
    settings_.node = "s1";
    settings_.farm_key_file = directory_ / "farm.key";
    settings_.state_file = directory_ / "web.rotation";
    settings_.etcd.endpoints = {"http://127.0.0.1:1"};
    std::ofstream(settings_.farm_key_file) << FarmKey::new_line(1).view();
    ASSERT_EQ(chmod(settings_.farm_key_file.c_str(), 0600), 0);
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    loop_ = std::move(*loop);
    clock_.moment.unix_s = kNow;
    site_ = make_site();
    ASSERT_NE(site_, nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Site> make_site() {
    auto site = Site::create(*loop_, settings_, clock_, [] {});
    EXPECT_TRUE(site) << site.error().message;
    return site ? std::move(*site) : nullptr;
  }

  bool keep(const Document& document) {
    const auto sealed = site_->seal(kRing, document.counter, encode(document), 1);
    EXPECT_TRUE(sealed) << sealed.error().message;
    const auto kept = sealed ? site_->keep(document, *sealed) : Result<>();
    EXPECT_TRUE(kept) << kept.error().message;
    return sealed && kept;
  }

  etcd::KeyValue record(const std::string& name, const nlohmann::json& content) {
    const Counter counter = document().counter;
    etcd::KeyValue made;
    made.key = site_->key(name);
    made.value = site_->seal(name, counter, content.dump(), 1).value_or("");
    return made;
  }
  etcd::KeyValue member(const std::string& node, int64_t joined_at = kNow) {
    return record(kMemberPrefix + node,
                  to_json(Member{.node = node, .server = true, .joined_at = joined_at}));
  }
  etcd::KeyValue farewell(const std::string& node, int64_t joined_at) {
    return record(kLeftPrefix + node,
                  to_json(Member{.node = node, .server = true, .joined_at = joined_at}));
  }
  etcd::KeyValue ack(const std::string& node, int64_t clock) {
    Ack made;
    made.node = node;
    made.counter = document().counter;
    made.server = true;
    made.clock = clock;
    return record(kAckPrefix + node, to_json(made));
  }
  etcd::KeyValue request(const std::string& id) {
    Request made;
    made.id = id;
    made.expects = document().counter;
    made.by = "s1";
    return record(kRequestPrefix + id, to_json(made));
  }
  etcd::KeyValue live(const std::string& node) {
    etcd::KeyValue made;
    made.key = site_->key(kLivePrefix + node);
    return made;
  }

  void put(const etcd::KeyValue& kv) { roster_->apply({.deleted = false, .kv = kv}); }
  void remove(const std::string& name) {
    etcd::WatchEvent event;
    event.deleted = true;
    event.kv.key = site_->key(name);
    roster_->apply(event);
  }
  bool counts(const std::string& node) { return roster_->view().members.contains(node); }

  std::filesystem::path directory_;
  Settings settings_;
  tfo::test::FakeClock clock_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Site> site_;
  std::unique_ptr<Roster> roster_;
};

class RotationRosterLoaded : public RotationRoster {
 protected:
  void SetUp() override {
    RotationRoster::SetUp();
    ASSERT_TRUE(keep(document()));
    roster_ = std::make_unique<Roster>(*site_);
    roster_->load_again({member("s1"), member("s2"), live("s1"), live("s2")});
  }
};

TEST_F(RotationRosterLoaded, MemberWhoseRecordIsDeletedCountsOn) {
  remove("member/s2");
  EXPECT_TRUE(counts("s2"));
  EXPECT_TRUE(roster_->view().members.at("s2").server);
  // Nor does another look lose it, nor the end of its lease.
  roster_->load_again({member("s1")});
  EXPECT_TRUE(counts("s2"));
  EXPECT_TRUE(roster_->view().silent_for.contains("s2"));
  // It has come back, and leaves: a farewell of another membership is none.
  put(member("s2", kNow + 5));
  put(farewell("s2", kNow));
  remove("member/s2");
  EXPECT_TRUE(counts("s2"));
  put(member("s2", kNow + 9));
  put(farewell("s2", kNow + 9));
  remove("member/s2");
  EXPECT_FALSE(counts("s2"));
  roster_->load_again({member("s1")});
  EXPECT_FALSE(counts("s2"));
}

TEST_F(RotationRosterLoaded, FarewellMayBeSeenAfterTheRecordIsGone) {
  remove("member/s2");
  put(farewell("s2", kNow));
  EXPECT_FALSE(counts("s2"));
}

TEST_F(RotationRosterLoaded, WhoWasForgottenCountsNoMore) {
  remove("member/s2");
  Document next = document();
  ++next.counter.sequence;
  next.forgotten.insert("s2");
  ASSERT_TRUE(keep(next));
  EXPECT_FALSE(counts("s2"));
  // By this leader itself, before the watch tells of it.
  put(member("s3"));
  roster_->forget({"s3"});
  remove("member/s3");
  EXPECT_FALSE(counts("s3"));
}

TEST_F(RotationRosterLoaded, WhoHasAcknowledgedIsAMemberOfANewLeader) {
  roster_->clear();
  roster_->load_again({member("s1"), ack("s2", kNow)});
  EXPECT_TRUE(counts("s2"));
  EXPECT_TRUE(roster_->view().members.at("s2").server);
}

TEST_F(RotationRosterLoaded, OffsetsFollowOurOwnClock) {
  roster_->load_again({member("s2"), ack("s2", kNow)});
  EXPECT_THAT(roster_->view().clock_offsets, IsEmpty()) << "nobody knows how old it is";
  put(ack("s2", kNow + 5));
  EXPECT_EQ(roster_->view().clock_offsets.at("s2"), 5);
  clock_.moment.unix_s += 3600;
  EXPECT_EQ(roster_->view().clock_offsets.at("s2"), 5 - 3600);
}

TEST_F(RotationRosterLoaded, SteppedClockMakesNobodySilent) {
  remove("live/s2");
  clock_.moment.unix_s += 1'000'000;
  EXPECT_LT(roster_->view().silent_for.at("s2"), 60);
}

TEST_F(RotationRosterLoaded, RequestThatIsPutBackIsNotServed) {
  const std::string id = "1122334455667788";
  put(request(id));
  EXPECT_THAT(roster_->view().requests, SizeIs(1));
  roster_->forget_request(id);
  remove("request/" + id);
  put(request(id));
  EXPECT_THAT(roster_->view().requests, IsEmpty());
  EXPECT_THAT(roster_->replayed(), ElementsAre(id));
  // Removed by somebody before it was answered.
  const std::string other = "8877665544332211";
  put(request(other));
  remove("request/" + other);
  put(request(other));
  EXPECT_THAT(roster_->view().requests, IsEmpty());
}

TEST_F(RotationRosterLoaded, ForgedRequestIsNamedUntilItIsGone) {
  etcd::KeyValue forged = request("1122334455667788");
  forged.key = site_->key("request/8877665544332211");
  put(forged);
  EXPECT_THAT(roster_->refused(), HasSubstr("8877665544332211"));
  ASSERT_THAT(roster_->forged(), SizeIs(1));
  EXPECT_EQ(roster_->forged().begin()->second, forged.value);
  remove("request/8877665544332211");
  EXPECT_EQ(roster_->refused(), "");
  EXPECT_THAT(roster_->forged(), IsEmpty());
}

TEST_F(RotationRoster, LostRevocationOutlivesARestartAndIsSaid) {
  Document mine = document();
  mine.find(1)->revoked = true;
  ASSERT_TRUE(keep(mine));
  EXPECT_FALSE(site_->troubles.raised(kRevocationLost));
  Document restored = document();
  restored.counter.sequence += 5;
  ASSERT_TRUE(keep(restored));
  EXPECT_THAT(site_->remembered.lost, ElementsAre(1));
  EXPECT_TRUE(site_->troubles.raised(kRevocationLost));
  site_ = make_site();
  ASSERT_NE(site_, nullptr);
  EXPECT_THAT(site_->remembered.lost, ElementsAre(1));
  EXPECT_TRUE(site_->troubles.raised(kRevocationLost));
  restored.counter.sequence++;
  restored.find(1)->revoked = true;
  ASSERT_TRUE(keep(restored));
  EXPECT_THAT(site_->remembered.lost, IsEmpty());
  EXPECT_FALSE(site_->troubles.raised(kRevocationLost));
}

}  // namespace
}  // namespace tfo::rotation
