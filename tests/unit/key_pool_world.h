// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/keys/file_store.h"
#include "loader/keys/pool.h"

namespace tfo::test {

inline constexpr int64_t kInterval = 1000;
inline constexpr RotationPolicy kPolicy{
    .interval = kInterval, .accept_generations = 4, .not_after = 3 * kInterval};
inline constexpr RotationPolicy kByHand{.interval = 0, .accept_generations = 4, .not_after = 0};

class FakeClock : public Clock {
 public:
  Moment now() const override { return moment; }
  void pass(int64_t seconds) {
    moment.unix_s += seconds;
    moment.boot_s += seconds;
  }
  Moment moment{.unix_s = 1'790'000'000, .boot_s = 1000, .boot_id = "boot"};
};

/// What stands in a validator or a server, and outlives the process that wrote it.
struct Device {
  KeySink::Role role = KeySink::Role::server;
  std::vector<Key> accepts;      ///< a server's first one mints
  std::optional<Key> renews_to;  ///< what a validator rewrites to, if anything
  std::function<std::string()> fails = [] { return std::string(); };
  bool gone = false;
  int writes = 0;
};

struct Killed {};

/// All devices of a farm, and what must hold among them at every instant.
struct PoolWorld {
  std::map<std::string, Device> devices;
  int effects_left = -1;   ///< the process is killed instead of the effect after these; -1: never
  bool half_done = false;  ///< ... or just after it

  void effect(const std::function<void()>& change) {
    if (effects_left == 0 && !half_done) {
      throw Killed();
    }
    change();
    check();
    if (effects_left == 0) {
      throw Killed();
    }
    --effects_left;
  }

  std::string broken;
  void check() {
    check_minting();
    check_renewing();
  }

  /// Every server accepts what a validator rewrites to.
  void check_renewing() {
    for (const auto& [name, validator] : devices) {
      if (!validator.renews_to) continue;
      for (const auto& [other, server] : devices) {
        if (server.role != KeySink::Role::server || server.gone) continue;
        const auto accepts = [&keys = server.accepts](const Key& key) {
          return std::find(keys.begin(), keys.end(), key) != keys.end();
        };
        if (!accepts(*validator.renews_to)) {
          broken.append(name).append(" renews to what ").append(other).append(" refuses; ");
        }
      }
    }
  }

  void check_minting() {
    for (const auto& [name, server] : devices) {
      if (server.role == KeySink::Role::server && !server.accepts.empty() && !server.gone) {
        for (const auto& [other, device] : devices) {
          const auto& keys = device.accepts;
          if (!keys.empty() && !device.gone &&
              std::find(keys.begin(), keys.end(), server.accepts.front()) == keys.end()) {
            broken.append(name).append(" mints what ").append(other).append(" refuses; ");
          }
        }
      }
    }
  }
};

class FakeSink : public KeySink {
 public:
  FakeSink(PoolWorld& world, std::string name) : world_(world), name_(std::move(name)) {}
  Role role() const override { return device().role; }
  std::string name() const override { return name_; }
  bool gone() const override { return device().gone; }
  Result<std::vector<Key>> held() override { return device().accepts; }

  Result<> apply(const KeyRing& ring) override {
    if (const std::string error = device().fails(); !error.empty()) {
      return fail(name_ + ": " + error);
    }
    if (device().gone) {
      return fail(name_ + ": gone");
    }
    world_.effect([&] {
      device().accepts = wanted(ring);
      const Generation* target = ring.find(ring.renewal.target);
      device().renews_to = target == nullptr || device().role == Role::server
                               ? std::optional<Key>()
                               : std::optional<Key>(target->key);
      ++device().writes;
    });
    return {};
  }

  Result<> verify(const KeyRing& ring) override {
    if (device().accepts != wanted(ring)) {
      return fail(name_ + ": differs");
    }
    return {};
  }

 private:
  Device& device() const { return world_.devices.at(name_); }

  std::vector<Key> wanted(const KeyRing& ring) const {
    if (device().role == Role::server) {
      return *Key::parse_list(ring.sysctl_value().view());
    }
    std::vector<Key> keys;
    keys.reserve(ring.generations.size());
    for (const Generation& generation : ring.generations) {
      keys.push_back(generation.key);
    }
    return keys;
  }

  PoolWorld& world_;
  std::string name_;
};

class KeyPoolTest : public testing::Test {
 protected:
  void SetUp() override {
    // Thousands of fsyncs: in memory where that is to be had.
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = access(memory.c_str(), W_OK) == 0;
    std::string pattern =
        ((usable ? memory : std::filesystem::temp_directory_path()) / "tfo-pool-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    reset_world();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void reset_world() {
    std::filesystem::remove(directory_ / "web.keys");
    world_ = PoolWorld();
    world_.devices["bpf"].role = KeySink::Role::validator;
    world_.devices["a"];
    world_.devices["b"];
    world_.devices["c"];
    conditions_.clear();
    clock_ = FakeClock();
  }

  std::unique_ptr<KeyPool> make_pool(const RotationPolicy& policy = kPolicy) {
    auto pool = std::make_unique<KeyPool>(
        "web", std::make_unique<FileStore>(directory_ / "web.keys", Rotation(policy)), clock_,
        [&](const KeyCondition& condition) {
          const std::string name = condition.id + " " + condition.subject;
          if (condition.raised) {
            conditions_[name] = condition.evidence;
          } else {
            conditions_.erase(name);
          }
        });
    for (const auto& device : world_.devices) {
      pool->add_sink(std::make_unique<FakeSink>(world_, device.first));
    }
    return pool;
  }

  std::vector<std::string> raised() const {
    std::vector<std::string> names;
    names.reserve(conditions_.size());
    for (const auto& condition : conditions_) {
      names.push_back(condition.first);
    }
    return names;
  }

  std::filesystem::path directory_;
  PoolWorld world_;
  FakeClock clock_;
  std::map<std::string, std::string> conditions_;
};

}  // namespace tfo::test
