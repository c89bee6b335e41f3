// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/rotation/etcd_store.h"
#include "tests/unit/key_pool_world.h"

namespace tfo::rotation::test {

using tfo::test::Device;
using tfo::test::FakeClock;
using tfo::test::FakeSink;
using tfo::test::PoolWorld;
using namespace std::chrono_literals;

inline constexpr int64_t kNow = 1'790'000'000;

/// What the agents of a test share, as etcd and the state file would.
struct Script {
  std::optional<Document> document;
  std::set<uint64_t> lost;
  int64_t trusted_until = kNow + 16'000;
  bool may_open = true;
  std::vector<StoreTrouble> troubles;
  std::vector<Applied> confirmed;
  std::vector<Request> asked;
  Agent::Changed changed;
  int made = 0;
  int started = 0;
};

class ScriptedAgent : public Agent {
 public:
  explicit ScriptedAgent(Script& script) : script_(script) {}
  void start() override { ++script_.started; }
  const std::optional<Document>& document() const override { return script_.document; }
  const std::set<uint64_t>& lost() const override { return script_.lost; }
  int64_t trusted_until() const override { return script_.trusted_until; }
  void confirm(const Applied& applied) override { script_.confirmed.push_back(applied); }
  bool may_open() const override { return script_.may_open; }
  std::vector<StoreTrouble> troubles() const override { return script_.troubles; }
  Result<std::string> ask(Request request) override {
    script_.asked.push_back(std::move(request));
    return std::string("0011223344556677");
  }
  nlohmann::json status() const override { return {}; }
  void refresh() override {}
  Result<nlohmann::json> adopt() override { return fail("not here"); }
  void leave(std::function<void(Result<>)> done) override { done({}); }

 private:
  Script& script_;
};

/// A pool of the etcd store whose agent does what the test says.
class EtcdStoreTest : public testing::Test {
 protected:
  EtcdStoreTest() {
    for (const uint64_t id : {1, 2, 3}) {
      first_.generations.push_back(
          {.id = id, .key = Key::random(), .created_at = kNow - 100, .not_after = kNow + 5000});
    }
    first_.farm = "edge";
    first_.pool = "web";
    first_.counter = {.incarnation = 1'700'000'000, .sequence = 1};
    first_.other = 1;
    first_.current = 2;
    first_.issued_at = first_.rotated_at = kNow - 100;
    first_.generations.pop_back();
    settings_.pool = "web";
    settings_.balancer = settings_.server = true;
    settings_.fresh_for = 16'000;
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-store-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    settings_.state_file = directory_ / "web.rotation";
    settings_.etcd.endpoints = {"https://10.0.0.1:2379"};
    world_.devices["bpf"].role = KeySink::Role::validator;
    world_.devices["a"];
    world_.devices["b"];
    clock_.moment.unix_s = kNow;
  }

  /// The document after this one: `state`, with a new key as the next one.
  static Document after(Document document, State state) {
    ++document.counter.sequence;
    if (document.next == 0) {
      document.next = 10 + document.counter.sequence;
      document.generations.push_back({.id = document.next,
                                      .key = Key::random(),
                                      .created_at = kNow,
                                      .not_after = kNow + 9000});
    }
    document.state = state;
    if (state == State::kSteady) {
      document.other = document.current;
      document.current = document.next;
      document.next = 0;
    }
    return document;
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<EtcdStore> make_store(std::chrono::milliseconds patience = 0ms) {
    const EtcdStore::Source source{
        .make_agent = [this](Agent::Changed changed) -> Result<std::unique_ptr<Agent>> {
          ++script_.made;
          script_.changed = std::move(changed);
          return std::make_unique<ScriptedAgent>(script_);
        },
        .fetch = [this](std::chrono::milliseconds) -> Result<> {
          ++fetches_;
          if (fetches_ <= fetches_that_fail_) return fail("connection refused");
          script_.document = first_;
          return {};
        }};
    return std::make_unique<EtcdStore>(settings_, source,
                                       std::chrono::steady_clock::now() + patience);
  }

  std::unique_ptr<KeyPool> start_pool() {
    script_.document = first_;
    auto store = make_store();
    store_ = store.get();
    auto pool = std::make_unique<KeyPool>("web", std::move(store), clock_,
                                          [this](const KeyCondition& condition) {
                                            if (condition.raised) {
                                              raised_[condition.id] = condition.evidence;
                                            } else {
                                              raised_.erase(condition.id);
                                            }
                                          });
    for (const auto& device : world_.devices) {
      pool->add_sink(std::make_unique<FakeSink>(world_, device.first));
    }
    EXPECT_TRUE(pool->start());
    return pool;
  }

  void follow(KeyPool& pool, const Document& document) {
    script_.document = document;
    script_.changed();
    pool.tick();
  }

  static bool readable(int fd) {
    pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&one, 1, 0) == 1;
  }

  Key key(uint64_t id) const { return script_.document->find(id)->key; }

  std::filesystem::path directory_;
  Document first_;
  Settings settings_;
  Script script_;
  int fetches_ = 0;
  int fetches_that_fail_ = 0;
  PoolWorld world_;
  FakeClock clock_;
  std::map<std::string, std::string> raised_;
  EtcdStore* store_ = nullptr;
};

}  // namespace tfo::rotation::test
