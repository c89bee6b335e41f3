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

#include "loader/etcd/config.h"
#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/keys/store.h"
#include "loader/result.h"
#include "loader/rotation/document.h"
#include "loader/rotation/farm_reports.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/records.h"
#include "loader/rotation/tally.h"

namespace tfo::rotation {

/// Who a node is to its farm, for one pool.
struct Settings {
  etcd::Config etcd;
  std::string farm;
  std::string pool;
  std::string node;
  bool balancer = false;
  bool server = false;
  Policy policy;
  std::string farm_key_file;
  std::string state_file;
  std::chrono::seconds lease{15};  ///< TTL of the leases; 3 or more
  /// Between two acknowledgements that differ in what servers say of their listeners only.
  std::chrono::milliseconds between_listeners{5000};
  /// Seconds for which validators renew after the last confirmed read of the document.
  int64_t fresh_for = 23 * 3600;
};

/// What this node has in force.
struct Applied {
  Counter counter;      ///< of the document that every sink took and was read back
  std::string hash;     ///< hash_of() that document
  std::string partial;  ///< what lacks, with names; empty: nothing
  bool renews = false;  ///< see Ack::renews
  nlohmann::json listeners;

  bool operator==(const Applied&) const = default;
};

/// One node's part in the farm-wide rotation of one pool, on one event loop: joins, keeps its
/// lease, follows the document by a watch and by a linearizable read at least every 8 s, makes it
/// durable before anybody sees it, acknowledges what was applied, puts a higher document back, and
/// leads when nobody else does. The keepalive is sent only by the loop that has confirmed the
/// document in the last 10 s, so that a deaf node does not look alive.
class Agent {
 public:
  using Changed = std::function<void()>;

  /// Reads the farm key and the state file; asks nothing of etcd yet. `changed` is called from the
  /// loop whenever document(), troubles() or the like may be others. `clock` and `loop` outlive it.
  static Result<std::unique_ptr<Agent>> create(EventLoop& loop, Settings settings,
                                               const Clock& clock, Changed changed);
  virtual ~Agent() = default;

  /// Begins to talk to etcd, and goes on for as long as it lives, whatever fails.
  virtual void start() = 0;

  /// The document to be applied: durable on this node. Nothing: none was ever seen.
  virtual const std::optional<Document>& document() const = 0;

  /// Generations that this node knows to be revoked although the document accepts them: it is to be
  /// applied as guarded() has it.
  virtual const std::set<uint64_t>& lost() const = 0;

  /// Unix seconds up to which validators may renew by it (the fence); in the past: they may not.
  virtual int64_t trusted_until() const = 0;

  /// What is in force here now; said again whenever it changes, drift included. The acknowledgement
  /// follows it: given, given again as partial, or withdrawn.
  virtual void confirm(const Applied& applied) = 0;

  /// Has this node joined and acknowledged a document that etcd confirmed in this run, or has etcd
  /// been out of reach for 60 s while the persisted document is still good? Only then may its
  /// servers offer Fast Open.
  virtual bool may_open() const = 0;

  /// store_unreachable, store_rolled_back, store_refused (a value that is not genuine), fork,
  /// farm_key_missing, straggler, rotation_held, not_member, clock_off, state_unsaved,
  /// revocation_lost, name_taken.
  virtual std::vector<StoreTrouble> troubles() const = 0;

  /// Puts a request to the farm; its id. What became of it is in status()["asked"].
  virtual Result<std::string> ask(Request request) = 0;

  /// For `tfoctl`: see docs of the control command "farm-status". refresh() has the members and
  /// their acknowledgements read anew; status()["roster_at"] (unix ms) tells of when they are.
  virtual nlohmann::json status() const = 0;
  virtual void refresh() = 0;

  /// What the pool's servers can take, for the limits of a validator; kept up to date within
  /// seconds where `Settings::balancer` is set, else empty.
  virtual FarmReports reports() const { return {}; }

  /// Counted in this run; cheap, however many members there are.
  virtual Tally tally() const { return {}; }

  /// Takes a document from etcd that is lower than ours (local root decides): both are named.
  virtual Result<nlohmann::json> adopt() = 0;

  /// An orderly farewell: the member record goes, what was confirmed goes with it. `done` is called
  /// once, also when etcd cannot be reached.
  virtual void leave(std::function<void(Result<>)> done) = 0;
};

/// Reads and keeps the farm's document before there is an agent: a node's very first start. Blocks
/// for at most `patience`. Fine if the state file holds one already. Errors say what to do ("run
/// `tfoctl farm init`").
Result<> fetch_first(const Settings& settings, const Clock& clock,
                     std::chrono::milliseconds patience);

}  // namespace tfo::rotation
