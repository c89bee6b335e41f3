// SPDX-License-Identifier: BSD-2-Clause
// A watch's lines, cut anywhere and damaged, and what is made of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "loader/etcd/watch_tracker.h"
#include "tests/support/options.h"

namespace tfo::test {
namespace {

using etcd::LineSplitter;
using etcd::WatchMessage;
using etcd::WatchTracker;
using Kind = etcd::WatchNotice::Kind;
using testing::ElementsAre;
using testing::HasSubstr;

std::string line_with(const std::string& rest, int64_t revision = 9) {
  return R"({"result":{"header":{"cluster_id":"1","member_id":"2","revision":")" +
         std::to_string(revision) + R"(","raft_term":"3"})" + rest + "}}";
}

std::string put_event(const std::string& value, int64_t revision) {
  return R"({"kv":{"key":"YQ==","create_revision":"1","mod_revision":")" +
         std::to_string(revision) + R"(","version":"1","value":")" + etcd::to_base64(value) +
         "\"}}";
}

std::string events_line(const std::string& events, bool fragment = false) {
  return line_with(std::string(fragment ? R"(,"fragment":true)" : "") + R"(,"events":[)" + events +
                   "]");
}

WatchMessage message(const std::string& line) {
  auto parsed = etcd::parse_watch_line(line);
  EXPECT_TRUE(parsed) << line;
  return parsed.value_or(WatchMessage());
}

std::vector<std::string> split(const std::vector<std::string>& pieces, size_t limit = 1000) {
  LineSplitter splitter(limit);
  std::vector<std::string> lines;
  for (const std::string& piece : pieces) {
    splitter.add(piece);
    while (auto line = splitter.next()) lines.push_back(*line);
  }
  if (auto rest = splitter.take_rest(); !rest.empty()) lines.push_back("rest " + rest);
  return lines;
}

TEST(EtcdLines, WhereverTheyAreCut) {
  const std::string error = R"({"error":{"grpc_code":14,"message":"a } {"}})";
  const std::string stream = "{\"result\":1}\n\n" + events_line(put_event("x", 3)) + "\n" + error;
  const auto whole = split({stream});
  EXPECT_THAT(whole, ElementsAre("{\"result\":1}", "", events_line(put_event("x", 3)), error));
  for (size_t i = 0; i <= stream.size(); i++) {
    ASSERT_EQ(split({stream.substr(0, i), stream.substr(i)}), whole) << i;
  }
  std::vector<std::string> bytes;
  for (const char c : stream) bytes.emplace_back(1, c);
  EXPECT_EQ(split(bytes), whole);
}

TEST(EtcdLines, OverlongLinesAreNoticedAndMemoryIsBounded) {
  LineSplitter splitter(100);
  splitter.add(std::string(99, 'x') + "\n" + std::string(100, 'y'));
  EXPECT_TRUE(splitter.next());
  EXPECT_FALSE(splitter.next());
  EXPECT_FALSE(splitter.overflown());
  splitter.add("y");
  EXPECT_FALSE(splitter.next());
  EXPECT_TRUE(splitter.overflown());
}

TEST(EtcdWatchLine, AsEtcdWritesThem) {
  EXPECT_TRUE(message(line_with(R"(,"created":true)")).created);
  const auto progress = message(line_with(R"(,"watch_id":"-1")"));
  EXPECT_EQ(progress.watch_id, -1);
  EXPECT_EQ(progress.header.revision, 9);
  const auto compacted = message(R"({"result":{"canceled":true,"compact_revision":"8"}})");
  EXPECT_TRUE(compacted.canceled);
  EXPECT_EQ(compacted.compact_revision, 8);
  const auto events = message(events_line(
      put_event("x", 3) + R"(,{"type":"DELETE","kv":{"key":"Yg==","mod_revision":"4"}})"));
  ASSERT_EQ(events.events.size(), 2U);
  EXPECT_EQ(events.events[0].kv.value, "x");
  EXPECT_FALSE(events.events[0].deleted);
  EXPECT_TRUE(events.events[1].deleted);
  EXPECT_EQ(events.events[1].kv.key, "b");
  for (const char* error :
       {R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}})",
        R"({"error":{"code":14,"message":"etcdserver: no leader","details":[]}})",
        R"({"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14})"}) {
    ASSERT_TRUE(message(error).error) << error;
    EXPECT_EQ(message(error).error->code, 14);
    EXPECT_EQ(message(error).error->message, "etcdserver: no leader");
  }
}

TEST(EtcdWatchLine, AnythingElseIsRefused) {
  for (const std::string& bad :
       {std::string("x"), std::string("{}"), std::string("[]"), std::string(R"({"result":[]})"),
        std::string(R"({"result":{"created":"true"}})"), std::string(R"({"result":{"header":7}})"),
        events_line(R"({"kv":{"mod_revision":"3"}})"), events_line(R"({"kv":{"key":"YQ=="}})"),
        events_line("{}"), events_line("7"),
        events_line(R"({"type":"MERGE","kv":{"key":"YQ==","mod_revision":"3"}})"),
        events_line(R"({"kv":{"key":"YQ=","mod_revision":"3"}})")}) {
    EXPECT_FALSE(etcd::parse_watch_line(bad)) << bad;
  }
}

/// No truncation and no flipped byte gives an event that was not sent, or does worse than fail.
TEST(EtcdWatchLine, DamagedLinesAreRefusedOrHarmless) {
  std::mt19937_64 random(test_seed());
  const std::string line = events_line(put_event("first", 3) + "," + put_event("second", 4));
  for (size_t i = 0; i < line.size(); i++) {
    EXPECT_FALSE(etcd::parse_watch_line(line.substr(0, i))) << i;
  }
  size_t accepted = 0;
  for (int i = 0; i < 20'000; i++) {
    std::string damaged = line;
    for (auto n = random() % 3 + 1; n > 0; n--) {
      const size_t at = random() % damaged.size();
      if (random() % 3 == 0) {
        damaged.erase(at, random() % 10);
      } else {
        damaged[at] = static_cast<char>(random());
      }
      if (damaged.empty()) damaged = "x";
    }
    auto parsed = etcd::parse_watch_line(damaged);
    if (!parsed) continue;
    accepted++;
    EXPECT_LE(parsed->events.size(), 2U);
    WatchTracker tracker(1, 1000);
    for (const auto& notice : tracker.take(std::move(*parsed))) {
      for (const auto& event : notice.events) {
        EXPECT_FALSE(event.kv.key.empty());
        EXPECT_GT(tracker.next(), event.kv.mod_revision);
      }
    }
  }
  EXPECT_GT(accepted, 100U);
}

/// The one notice of a message.
etcd::WatchNotice only(WatchTracker& tracker, const std::string& line) {
  auto notices = tracker.take(message(line));
  EXPECT_EQ(notices.size(), 1U) << line;
  return notices.empty() ? etcd::WatchNotice() : notices[0];
}

TEST(EtcdWatchTracker, ResumesAfterTheLastWholeRevision) {
  WatchTracker tracker(5, 1000);
  EXPECT_EQ(only(tracker, line_with(R"(,"created":true)")).kind, Kind::kCreated);
  EXPECT_EQ(tracker.next(), 5);
  EXPECT_EQ(only(tracker, events_line(put_event("a", 6) + "," + put_event("b", 7))).events.size(),
            2U);
  EXPECT_EQ(tracker.next(), 8);
  // Some versions of etcd send progress before the events that it covers (etcd 3.4.25 and earlier).
  EXPECT_EQ(only(tracker, line_with(R"(,"watch_id":"-1")", 20)).kind, Kind::kProgress);
  EXPECT_EQ(tracker.next(), 8);
  // Opened again: what comes twice is dropped.
  tracker.reopened();
  const auto again = only(tracker, events_line(put_event("b", 7) + "," + put_event("c", 8)));
  ASSERT_EQ(again.events.size(), 1U);
  EXPECT_EQ(again.events[0].kv.value, "c");
}

TEST(EtcdWatchTracker, FragmentsAreHandedOnTogetherOrNotAtAll) {
  WatchTracker tracker(1, 1000);
  EXPECT_TRUE(tracker.take(message(events_line(put_event("a", 6), true))).empty());
  EXPECT_EQ(tracker.next(), 1);
  tracker.reopened();  // the stream broke
  EXPECT_TRUE(tracker.take(message(events_line(put_event("a", 6), true))).empty());
  const auto whole = only(tracker, events_line(put_event("b", 6)));
  EXPECT_EQ(whole.events.size(), 2U);
  EXPECT_EQ(tracker.next(), 7);
  WatchTracker small(1, 100);
  EXPECT_EQ(only(small, events_line(put_event(std::string(200, 'x'), 6), true)).kind,
            Kind::kTooLarge);
}

TEST(EtcdWatchTracker, CancelledWatches) {
  WatchTracker tracker(5, 1000);
  const auto compacted = only(tracker, R"({"result":{"canceled":true,"compact_revision":"8"}})");
  EXPECT_EQ(compacted.kind, Kind::kCompacted);
  EXPECT_EQ(compacted.compact_revision, 8);
  EXPECT_THAT(compacted.text, HasSubstr("revision 5"));
  const auto denied = only(
      tracker,
      R"({"result":{"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"rpc error: code = PermissionDenied desc = etcdserver: permission denied"}})");
  EXPECT_EQ(denied.kind, Kind::kDenied);
  EXPECT_TRUE(denied.ended());
  const auto other = only(tracker, R"({"result":{"canceled":true,"cancel_reason":"bored"}})");
  EXPECT_EQ(other.kind, Kind::kInterrupted);
  EXPECT_FALSE(other.ended());
  EXPECT_EQ(only(tracker, R"({"error":{"grpc_code":14,"message":"etcdserver: no leader"}})").kind,
            Kind::kInterrupted);
}

TEST(EtcdWatchTracker, LowerRevisionsAreNoticed) {
  WatchTracker tracker(10, 1000);
  EXPECT_FALSE(only(tracker, line_with(R"(,"created":true)", 9)).behind);
  EXPECT_FALSE(only(tracker, line_with("", 12)).behind);
  EXPECT_TRUE(only(tracker, line_with("", 11)).behind);
  tracker.reopened();
  EXPECT_FALSE(only(tracker, line_with(R"(,"created":true)", 9)).behind);
  WatchTracker deaf(20, 1000);
  EXPECT_TRUE(only(deaf, line_with(R"(,"created":true)", 10)).behind);
}

}  // namespace
}  // namespace tfo::test
