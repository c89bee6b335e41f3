// SPDX-License-Identifier: BSD-2-Clause
// What a leader makes of the records that lie in etcd, and of those that are gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "loader/rotation/membership.h"
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
  etcd::KeyValue farewell(const std::string& node, int64_t joined_at, uint64_t membership = 0) {
    return record(
        kLeftPrefix + node,
        to_json(Member{
            .node = node, .server = true, .joined_at = joined_at, .membership = membership}));
  }
  etcd::KeyValue ack(const std::string& node, int64_t clock, uint64_t sequence = 0,
                     const std::string& instance = "a") {
    Ack made;
    made.instance = instance;
    made.sequence = sequence;
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

TEST_F(RotationRosterLoaded, FarewellIsForOneMembership) {
  put(farewell("s2", kNow, 7));
  remove("member/s2");
  EXPECT_TRUE(counts("s2")) << "joined in the same second, and another time";
}

TEST_F(RotationRosterLoaded, SilenceOfAVanishedMemberOutlivesAWatch) {
  remove("live/s2");
  remove("member/s2");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  ASSERT_EQ(roster_->view().silent_for.at("s2"), 1);
  roster_->load_again({member("s1")});
  EXPECT_EQ(roster_->view().silent_for.at("s2"), 1);
  roster_->load_again({member("s1"), live("s2")});
  EXPECT_FALSE(roster_->view().silent_for.contains("s2"));
}

TEST_F(RotationRosterLoaded, EarlierAcknowledgementThatIsPutBackCountsForNothing) {
  const auto has = [this] { return roster_->view().acks.contains("s2"); };
  const auto offset = [this] {
    const auto offsets = roster_->view().clock_offsets;
    return offsets.contains("s2") ? offsets.at("s2") : -1;
  };
  const etcd::KeyValue first = ack("s2", kNow + 5, 1);
  const etcd::KeyValue second = ack("s2", kNow + 6, 2);
  put(first);
  EXPECT_TRUE(has());
  put(second);
  put(first);
  EXPECT_FALSE(has());
  EXPECT_EQ(offset(), 6);
  EXPECT_THAT(roster_->refused(), HasSubstr("an earlier one"));
  roster_->load_again({member("s1"), member("s2"), first});
  EXPECT_FALSE(has()) << "nor after another look";
  // The last one may come twice, and its clock is not fresh then.
  roster_->load_again({member("s1"), member("s2"), second});
  EXPECT_TRUE(has());
  put(ack("s2", kNow + 60, 2));
  EXPECT_TRUE(has());
  EXPECT_EQ(offset(), 6);
  // Another run begins from one, and those of the last one are over.
  put(ack("s2", kNow + 7, 1, "b"));
  EXPECT_TRUE(has());
  EXPECT_EQ(offset(), 7);
  put(second);
  EXPECT_FALSE(has());
  put(ack("s2", kNow + 8, 2, "b"));
  EXPECT_TRUE(has());
  EXPECT_EQ(roster_->refused(), "");
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

TEST_F(RotationRoster, DeletedMemberRecordMakesNobodyAnOutcast) {
  ASSERT_TRUE(keep(document()));
  Follower follower(*site_, {});
  Membership membership(*site_, follower, [] {});
  Reading reading;
  reading.number = 1;
  reading.in_step = true;
  reading.member = record(kMemberPrefix + std::string("s1"), to_json(Member{.node = "s1"}));
  membership.take(reading);
  ASSERT_TRUE(membership.joined());
  ++reading.number;
  reading.member.reset();
  membership.take(reading);
  EXPECT_TRUE(membership.joined());
  EXPECT_FALSE(site_->troubles.raised(kNotMember));
  Document next = document();
  ++next.counter.sequence;
  next.forgotten.insert("s1");
  ASSERT_TRUE(keep(next));
  ++reading.number;
  membership.take(reading);
  EXPECT_FALSE(membership.joined());
  EXPECT_TRUE(site_->troubles.raised(kNotMember));
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
