// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/keys/store.h"
#include "loader/result.h"
#include "loader/rotation/agent.h"
#include "loader/rotation/trust_file.h"

namespace tfo::rotation {

/// What a node acknowledges besides its sinks.
struct NodeReport {
  /// Renewal is asked for with every VIP of the pool, and every interface is attached.
  bool renews = false;
  std::string partial;                 ///< what lacks besides the sinks, with names; empty: nothing
  nlohmann::json listeners = nullptr;  ///< Ack::listeners

  bool operator==(const NodeReport&) const = default;
};

/// Keys that a farm agrees on through etcd: this node's Agent says which document is in force, the
/// store hands it to the pool as a ring, and what the sinks made of it goes back as the node's
/// acknowledgement. Nothing is decided here.
///
/// The ring's renewal ends when the document was not confirmed for fresh_for. That end is moved on
/// in steps of a sixteenth, since every step is a new ring. It outlives a restart (TrustFile). Past
/// it ring_stale is a trouble.
///
/// rotate() only asks the farm. Keys are given to a farm when it is made, so import() is refused.
class EtcdStore : public KeyStore {
 public:
  /// Where the document comes from; replaced in tests.
  struct Source {
    std::function<Result<std::unique_ptr<Agent>>(Agent::Changed changed)> make_agent;
    /// fetch_first() with this patience.
    std::function<Result<>(std::chrono::milliseconds patience)> fetch;
  };
  static Source etcd(EventLoop& loop, const Settings& settings, const Clock& clock);

  /// `patience_until`: how long open() may wait for a first document; it asks once in any case.
  EtcdStore(Settings settings, Source source, std::chrono::steady_clock::time_point patience_until);

  std::string kind() const override { return "etcd"; }
  /// Takes the document that the state file holds, however old, and asks nobody: it may be all that
  /// there is, and the agent gets the present one. Without it waits for etcd, and says so in the
  /// log. Ends early if the process is told to end. `host` does not matter.
  Result<> open(const Moment& now, const std::vector<Key>& host) override;
  const KeyRing& ring() const override { return ring_; }
  Result<bool> step(const Moment& now, const Confirmation& confirmed) override;
  Result<> rotate(const Moment& now) override;
  Result<> import(const Moment& now, const std::vector<Key>& keys) override;
  std::optional<int64_t> next_wakeup() const override;
  std::optional<int64_t> next_rotation() const override;
  bool rotates_alone() const override { return false; }
  std::vector<StoreTrouble> troubles() const override;
  int event_fd() const override { return wakeup_->get(); }
  EtcdStore* farm() override { return this; }

  /// Goes into the acknowledgement at the next step().
  void report(NodeReport report) { report_ = std::move(report); }

  /// May servers offer Fast Open? See Agent::may_open().
  bool may_open() const { return agent_->may_open(); }
  /// The farm does not count on this node: it was forgotten, and has not joined again.
  bool outcast() const;

  const Settings& settings() const { return settings_; }
  Agent& agent() const { return *agent_; }
  /// For its farewell; only destruction may follow here.
  std::unique_ptr<Agent> release_agent() { return std::move(agent_); }

 private:
  Result<> make_agent();
  Result<> wait_for_first() const;
  Result<bool> look(const Moment& now);
  std::string stale() const;
  void confirm(const Confirmation& confirmed);
  int64_t trusted_until(const Moment& now, bool fresh_document);

  Settings settings_;
  Source source_;
  std::chrono::steady_clock::time_point patience_until_;
  TrustFile trust_;
  std::optional<int64_t> trusted_before_;  ///< by the process before us; until the agent knows
  std::shared_ptr<Fd> wakeup_;             // shared with the agent, which may outlive us
  std::unique_ptr<Agent> agent_;
  bool started_ = false;
  KeyRing ring_;
  Counter counter_;    ///< of the document that ring_ is made of
  std::string hash_;   ///< hash_of() it: after a fork was adopted the counter is the same
  int64_t until_ = 0;  ///< trusted_until() as it was handed out
  int64_t at_ = 0;     ///< unix seconds of the last look
  NodeReport report_;
  std::optional<Applied> said_;  ///< to the agent
};

/// What this sink confirmation lacks, in words; empty: nothing.
std::string partial_text(const Confirmation& confirmed, const std::string& besides);

}  // namespace tfo::rotation
