// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "loader/keys/file_store.h"
#include "loader/keys/pool.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int64_t kInterval = 1000;
constexpr RotationPolicy kPolicy{
    .interval = kInterval, .accept_generations = 4, .not_after = 3 * kInterval};
constexpr RotationPolicy kByHand{.interval = 0, .accept_generations = 4, .not_after = 0};

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
  std::vector<Key> accepts;  ///< a server's first one mints
  std::function<std::string()> fails = [] { return std::string(); };
  bool gone = false;
  int writes = 0;
};

struct Killed {};

/// All devices of a farm, and what must hold among them at every instant.
struct World {
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
  FakeSink(World& world, std::string name) : world_(world), name_(std::move(name)) {}
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

  World& world_;
  std::string name_;
};

class KeyPoolTest : public testing::Test {
 protected:
  void SetUp() override {
    // Thousands of fsyncs: in memory where that is to be had.
    const fs::path memory = "/dev/shm";
    const bool usable = access(memory.c_str(), W_OK) == 0;
    std::string pattern =
        ((usable ? memory : fs::temp_directory_path()) / "tfo-pool-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    reset_world();
  }
  void TearDown() override { fs::remove_all(directory_); }

  void reset_world() {
    fs::remove(directory_ / "web.keys");
    world_ = World();
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

  fs::path directory_;
  World world_;
  FakeClock clock_;
  std::map<std::string, std::string> conditions_;
};

TEST_F(KeyPoolTest, StartPutsTheRingInForceEverywhere) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  for (const auto& [name, device] : world_.devices) {
    EXPECT_THAT(device.accepts, ElementsAre(pool->ring().current()->key)) << name;
  }
  EXPECT_THAT(raised(), IsEmpty());
  const PoolStatus status = pool->status();
  EXPECT_EQ(status.store, "file");
  EXPECT_EQ(status.phase, Phase::steady);
  EXPECT_EQ(status.next_rotation, clock_.moment.unix_s + kInterval);
  EXPECT_THAT(status.missing, IsEmpty());
}

TEST_F(KeyPoolTest, RotatesWhenItIsDueAndOnlyOnceWhenLate) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key first = pool->ring().current()->key;
  clock_.pass(kInterval - 1);
  EXPECT_EQ(pool->tick(), 1);
  EXPECT_EQ(pool->ring().current()->key, first);
  clock_.pass(1);
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(pool->ring().previous()->key, first);
  EXPECT_EQ(world_.broken, "");

  const Key second = pool->ring().current()->key;
  pool.reset();
  clock_.pass(40 * kInterval);
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(pool->ring().previous()->key, second);
  EXPECT_EQ(pool->status().next_rotation, clock_.moment.unix_s + kInterval);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, ARestartWritesTheSameKeysAgain) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  const auto held = world_.devices["a"].accepts;
  pool.reset();
  world_.devices["a"].accepts.clear();
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(world_.devices["a"].accepts, held);
}

TEST_F(KeyPoolTest, AServerThatFailsHoldsTheRotation) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key first = pool->ring().current()->key;
  world_.devices["b"].fails = [] { return "read-only"; };
  const auto rotated = pool->rotate();
  ASSERT_FALSE(rotated);
  EXPECT_THAT(rotated.error().message, AllOf(HasSubstr("staged"), HasSubstr("b: read-only")));
  EXPECT_EQ(pool->ring().phase, Phase::staged);
  EXPECT_EQ(world_.devices["a"].accepts.front(), first) << "nobody mints with the new key";
  EXPECT_THAT(raised(), ElementsAre("key_sink_failed web/b", "rotation_held web"));
  EXPECT_THAT(pool->status().missing, ElementsAre("b"));
  EXPECT_THAT(pool->rotate().error().message, HasSubstr("b: read-only"));

  const int writes = world_.devices["a"].writes;
  EXPECT_EQ(pool->tick(), KeyPool::kRetry);
  EXPECT_EQ(world_.devices["a"].writes, writes) << "who has it is left alone";
  world_.devices["b"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(pool->ring().previous()->key, first);
  EXPECT_THAT(raised(), IsEmpty());
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, ServersWaitForTheValidators) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const auto held = world_.devices["a"].accepts;
  world_.devices["bpf"].fails = [] { return "no map"; };
  EXPECT_FALSE(pool->rotate());
  EXPECT_EQ(world_.devices["a"].accepts, held);
  world_.devices["bpf"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, AKeyOverwrittenDuringAHeldRotationIsWrittenAgainBeforeMinting) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].fails = [] { return "busy"; };
  EXPECT_FALSE(pool->rotate());
  world_.devices["a"].accepts = {Key::random()};
  world_.devices["b"].fails = [] { return std::string(); };
  const int writes = world_.devices["a"].writes;
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(world_.devices["a"].writes, writes + 3) << "staged again, then minting and steady";
}

TEST_F(KeyPoolTest, DriftIsReportedAndCleared) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const auto ours = world_.devices["a"].accepts;
  world_.devices["a"].accepts = {Key::random()};
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_THAT(raised(), ElementsAre("key_drift web/a"));
  world_.devices["a"].accepts = ours;
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, ADeletedNamespaceHoldsNothing) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["c"].gone = true;
  EXPECT_TRUE(pool->rotate());
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  pool->tick();
  EXPECT_THAT(pool->status().gone, ElementsAre("c"));
  EXPECT_THAT(pool->status().missing, IsEmpty());
}

TEST_F(KeyPoolTest, AdoptsWhatAllServersHold) {
  const std::vector<Key> host = {Key::random(), Key::random()};
  for (const char* name : {"a", "b", "c"}) {
    world_.devices[name].accepts = host;
  }
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(world_.devices["a"].accepts, host);
  EXPECT_EQ(world_.devices["bpf"].accepts, host);
  pool.reset();

  reset_world();
  world_.devices["a"].accepts = host;
  world_.devices["b"].accepts = {host[0]};
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_FALSE(pool->ring().current()->key == host[0]) << "they differ: new keys";
  EXPECT_EQ(world_.devices["a"].accepts, world_.devices["b"].accepts);
}

TEST_F(KeyPoolTest, AStoreThatCannotWriteKeepsTheKeysAndSaysSo) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key first = pool->ring().current()->key;
  // A directory in the way of the temporary file fails the write for root too.
  fs::create_directory(directory_ / "web.keys.new");
  clock_.pass(kInterval);
  EXPECT_EQ(pool->tick(), KeyPool::kRetry);
  EXPECT_EQ(pool->ring().current()->key, first);
  EXPECT_THAT(raised(), ElementsAre("key_store_failed web"));
  for (int64_t passed = 0; passed < 10 * kInterval; passed += 100) {
    clock_.pass(100);
    pool->tick();
    ASSERT_GT(pool->ring().current()->not_after, clock_.moment.unix_s) << "extended while held";
  }
  fs::remove(directory_ / "web.keys.new");
  pool->tick();
  EXPECT_EQ(pool->ring().previous()->key, first);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, ExportIsWhatImportTakes) {
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  ASSERT_TRUE(pool->rotate());
  const Secret text = pool->export_text();
  ASSERT_TRUE(pool->rotate());
  ASSERT_TRUE(pool->import(*Key::parse_list(text.view())));
  EXPECT_EQ(pool->export_text().view().substr(0, text.view().size()), text.view());
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, EvidenceHoldsNoKey) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].fails = [] { return "broken"; };
  const std::string error = pool->rotate().error().message;
  for (const Generation& generation : pool->ring().generations) {
    const std::string word = generation.key.text().str().substr(0, 8);
    EXPECT_THAT(error, Not(HasSubstr(word)));
    for (const auto& condition : conditions_) {
      EXPECT_THAT(condition.second, Not(HasSubstr(word)));
    }
  }
}

TEST_F(KeyPoolTest, ANewPoolClearsWhatItsPredecessorLeftRaised) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].fails = [] { return "broken"; };
  EXPECT_FALSE(pool->rotate());
  EXPECT_THAT(raised(), Not(IsEmpty()));
  world_.devices["b"].fails = [] { return std::string(); };
  pool.reset();
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, AReplacementPoolTakesOverTheSinks) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key key = pool->ring().current()->key;
  auto sinks = pool->take_sinks();
  EXPECT_EQ(sinks.size(), 4U);
  pool.reset();
  pool = std::make_unique<KeyPool>(
      "web", std::make_unique<FileStore>(directory_ / "web.keys", Rotation(kByHand)), clock_,
      [](const KeyCondition&) {});
  for (auto& sink : sinks) {
    pool->add_sink(std::move(sink));
  }
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(pool->ring().current()->key, key);
}

/// Whether anything mints what something else refuses is checked after every single write.
class KeyPoolCrash : public KeyPoolTest {
 protected:
  using Action = std::function<Result<>(KeyPool&)>;

  /// Kills the process before or after its nth write for every n, restarts it, and looks whether
  /// the rotation is finished and nobody was ever refused. Returns how many writes there were.
  int kill_everywhere(const RotationPolicy& policy, const Action& action) {
    for (int n = 0;; ++n) {
      bool killed = false;
      for (const bool after : {false, true}) {
        reset_world();
        killed = kill_at(policy, action, n, after);
        if (HasFailure()) {
          ADD_FAILURE() << "killed " << (after ? "after" : "before") << " write " << n;
          return n;
        }
      }
      if (!killed) {
        return n;
      }
    }
  }

 private:
  bool kill_at(const RotationPolicy& policy, const Action& action, int n, bool after) {
    auto pool = make_pool(policy);
    EXPECT_TRUE(pool->start());
    EXPECT_TRUE(pool->rotate());
    bool killed = false;
    world_.effects_left = n;
    world_.half_done = after;
    try {
      EXPECT_TRUE(action(*pool));
    } catch (const Killed&) {
      killed = true;
    }
    world_.effects_left = -1;
    pool.reset();
    clock_.pass(3);
    pool = make_pool(policy);
    EXPECT_TRUE(pool->start());
    EXPECT_EQ(pool->ring().phase, Phase::steady);
    EXPECT_THAT(pool->status().missing, IsEmpty());
    EXPECT_TRUE(pool->rotate()) << "and rotation goes on";
    EXPECT_EQ(world_.broken, "");
    return killed;
  }
};

TEST_F(KeyPoolCrash, RotationContinuesFromEveryPoint) {
  EXPECT_GE(kill_everywhere(kPolicy, [](KeyPool& pool) { return pool.rotate(); }), 12);
}

TEST_F(KeyPoolCrash, ImportContinuesFromEveryPoint) {
  const std::vector<Key> keys = {Key::random(), Key::random(), Key::random()};
  EXPECT_GE(kill_everywhere(kByHand, [&](KeyPool& pool) { return pool.import(keys); }), 12);
}

TEST_F(KeyPoolCrash, EveryPatternOfFailuresIsSafe) {
  // Each sink may fail from its nth write on for a while: 3^4 patterns of "fails at once, fails at
  // its second write, works", mended one after the other with a restart between.
  for (int pattern = 0; pattern < 81; ++pattern) {
    reset_world();
    auto pool = make_pool();
    ASSERT_TRUE(pool->start());
    ASSERT_TRUE(pool->rotate());
    int rest = pattern;
    for (auto& [name, device] : world_.devices) {
      const int works_for = rest % 3;
      rest /= 3;
      const int limit = device.writes + works_for;
      if (works_for < 2) {
        device.fails = [&device = device, limit] {
          return device.writes >= limit ? std::string("refuses") : std::string();
        };
      }
    }
    const bool done = pool->rotate().has_value();
    EXPECT_EQ(done, pattern == 80) << pattern;
    for (auto& [name, device] : world_.devices) {
      device.fails = [] { return std::string(); };
      pool.reset();
      pool = make_pool();
      ASSERT_TRUE(pool->start());
    }
    EXPECT_EQ(pool->ring().phase, Phase::steady);
    EXPECT_EQ(world_.broken, "") << pattern;
  }
}

TEST_F(KeyPoolCrash, TheCheckWouldNoticeAOnePhaseRotation) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["a"].accepts = {Key::random(), world_.devices["a"].accepts.front()};
  world_.check();
  EXPECT_THAT(world_.broken, HasSubstr("a mints what"));
}

}  // namespace
}  // namespace tfo
