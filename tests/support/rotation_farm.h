// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/rotation/agent.h"
#include "loader/rotation/seal.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/etcd_session.h"

namespace tfo::test {

/// A clock of a node's own, that is off by some seconds.
class ShiftedClock : public Clock {
 public:
  Moment now() const override {
    Moment moment = clock_.now();
    moment.unix_s += shift;
    return moment;
  }
  int64_t shift = 0;

 private:
  SystemClock clock_;
};

/// One node: an agent, and what stands for its sinks, which confirms whatever the agent hands out.
struct RotationNode {
  std::string name;
  rotation::Settings settings;
  std::unique_ptr<ShiftedClock> clock;
  std::unique_ptr<EventLoop> own_loop;  ///< null: the farm's
  std::unique_ptr<rotation::Agent> agent;
  bool frozen = false;  ///< its loop does not run (with a loop of its own only)
  bool applies = true;  ///< its sinks take what comes
  std::string partial;  ///< what they lack
  nlohmann::json listeners = nlohmann::json::array();  ///< what a server says of them
  std::vector<rotation::State> states;  ///< in the order in which they were handed out
  std::vector<rotation::Counter> counters;
  std::set<std::string> told;  ///< troubles that were raised at some time

  /// Tells the agent what is in force.
  void apply();
  const rotation::Document& document() const { return *agent->document(); }
  std::string trouble(const std::string& id) const;
  /// What became of a request.
  std::string asked(const std::string& id) const;
};

/// Nodes of one farm on a real etcd, in this process.
class RotationFarm {
 public:
  struct Roles {
    bool balancer = false;
    bool own_loop = false;
    std::optional<size_t> only_member = std::nullopt;  ///< of etcd that it reaches; else all
  };

  explicit RotationFarm(EtcdCluster& cluster);
  RotationFarm(const RotationFarm&) = delete;
  RotationFarm& operator=(const RotationFarm&) = delete;
  ~RotationFarm();

  /// Writes the first document. Its error.
  std::string init();
  rotation::Settings settings(const std::string& name, Roles roles) const;
  /// Adds a node, and starts it. Null: it could not be made (see error()).
  RotationNode* add(const std::string& name, Roles roles);
  RotationNode* add(const std::string& name) { return add(name, Roles{}); }
  /// `called`: here; its own name is in the settings.
  RotationNode* add_with(const std::string& called, rotation::Settings settings);
  /// A new process with the state of the old one.
  bool restart(RotationNode& node);
  /// It is gone without a word.
  void kill(const std::string& name) { nodes_.erase(name); }
  RotationNode& node(const std::string& name) { return *nodes_.at(name); }
  const std::string& error() const { return error_; }

  /// Runs all loops until `condition` holds, at most `seconds`; returns its last value.
  bool until(const std::function<bool()>& condition, double seconds = 30);
  /// Until somebody leads, and knows that every node has joined, and acknowledged the same document
  /// in `state`.
  bool settled(rotation::State state = rotation::State::kSteady, double seconds = 30);
  /// The node that leads, waited for; null: none.
  RotationNode* leader(double seconds = 15);
  /// Asks for a rotation, and waits for its end. Empty, or what went wrong.
  std::string rotate(RotationNode& at, double seconds = 20);

  /// etcd as its operator sees it.
  EtcdSession& session() { return *session_; }
  std::string key(const std::string& name) const;
  std::string raw(const std::string& name);
  bool write(const std::string& name, const std::string& value);
  std::optional<rotation::Document> document();
  std::string seal(const std::string& name, const rotation::Counter& counter,
                   std::string_view text);
  /// What all nodes know, for a failing test.
  std::string text() const;

  // For the nodes that are added from then on.
  rotation::Policy policy;
  std::optional<etcd::Timeouts> timeouts;  ///< nothing: short ones
  std::chrono::seconds lease{3};
  std::filesystem::path directory;

 private:
  bool make(RotationNode& node);

  EtcdCluster& cluster_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<EtcdSession> session_;
  rotation::FarmKey farm_key_;
  rotation::Sealer sealer_;
  std::map<std::string, std::unique_ptr<RotationNode>> nodes_;
  std::string error_;
};

}  // namespace tfo::test
