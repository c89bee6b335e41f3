// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/keys/derived_store.h"
#include "tests/unit/key_pool_world.h"

namespace tfo::test {

/// A derived store with its files and a clock, at the beginning of an interval.
class DerivedTest : public testing::Test {
 protected:
  static constexpr int64_t kDerivedInterval = 100;
  static constexpr int64_t kIndex = 18'000'000;
  static constexpr int64_t kEdge = kIndex * kDerivedInterval;

  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-derived-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    write_secret(std::string(32, 's'));
    set_clock(kEdge + 10);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void set_clock(int64_t unix_s) { clock_.moment.unix_s = unix_s; }
  /// Real time passes until then.
  void pass_to(int64_t unix_s) { clock_.pass(unix_s - clock_.moment.unix_s); }

  std::string secret_path() const { return directory_ / "secret"; }
  std::string state_path() const { return directory_ / "state" / "web.derived"; }
  void write_secret(const std::string& content) const {
    std::ofstream(secret_path(), std::ios::binary) << content;
    ASSERT_EQ(chmod(secret_path().c_str(), 0600), 0);
  }

  static std::string hex(char c) {
    std::string text;
    for (int i = 0; i < 32; ++i) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
    return text;
  }
  static Key key(char c, int64_t index) {
    return *DerivedSecret::parse(std::string(32, c))->key(static_cast<uint64_t>(index));
  }

  std::unique_ptr<DerivedStore> make_store(DerivedStore::CountStaged count = {}) const {
    return std::make_unique<DerivedStore>(
        DerivedStore::Files{.secret = secret_path(), .state = state_path()}, policy_,
        std::move(count));
  }
  /// Opened, or its error.
  std::string open(DerivedStore& store, const std::vector<Key>& host = {}) const {
    const auto opened = store.open(clock_.now(), host);
    return opened ? "" : opened.error().message;
  }
  /// Steps until nothing happens, as the pool does, with all sinks in step. The error, if any.
  std::string settle(DerivedStore& store) const {
    for (int i = 0; i < 8; ++i) {
      const auto stepped =
          store.step(clock_.now(), {.revision = store.ring().revision, .missing = {}});
      if (!stepped) return stepped.error().message;
      if (!*stepped) return "";
    }
    return "does not come to rest";
  }
  /// Lets time pass to `unix_s`, stepping whenever the store wants it.
  void run_to(DerivedStore& store, int64_t unix_s) {
    while (true) {
      const int64_t next = store.next_wakeup().value_or(unix_s);
      ASSERT_GT(next, clock_.moment.unix_s);
      if (next > unix_s) break;
      pass_to(next);
      ASSERT_EQ(settle(store), "");
    }
    pass_to(unix_s);
    ASSERT_EQ(settle(store), "");
  }
  std::string slots() const { return slots(std::string(32, 's')); }
  std::string slots(const std::string& secret) const {
    return derived_text(*DerivedSecret::parse(secret), kDerivedInterval,
                        clock_.moment.unix_s - kDerivedDelay)
        ->str();
  }
  static std::string trouble(const DerivedStore& store, const std::string& id) {
    for (const StoreTrouble& one : store.troubles()) {
      if (one.id == id) return one.evidence;
    }
    return "unknown";
  }

  DerivedPolicy policy_{.interval = kDerivedInterval,
                        .max_skew_ms = 5000,
                        .accept_generations = 2,
                        .not_after = 3 * kDerivedInterval};
  std::filesystem::path directory_;
  FakeClock clock_;
};

}  // namespace tfo::test
