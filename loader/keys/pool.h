// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader/keys/clock.h"
#include "loader/keys/drift.h"
#include "loader/keys/sink.h"
#include "loader/keys/store.h"
#include "loader/result.h"

namespace tfo {

/// Something that is wrong, or no longer wrong. Reported at start() and at every change of it,
/// never repeated while it stays the same; (id, subject) names it.
struct KeyCondition {
  /// key_store_failed  the store cannot be read or written; the keys stay as they are
  /// key_sink_failed   subject did not take the ring; tried again every few seconds
  /// key_sink_gone     subject's namespace was deleted; it is left out
  /// key_drift         subject holds other keys than we wrote, and is left so (OnDrift::report)
  /// key_repaired      subject held other keys a while ago; ours were written again
  /// key_fight         ... and that happens again and again
  /// rotation_held     a rotation waits for the sinks, or the farm's nodes, named in the evidence
  /// and the store's own, see KeyStore::troubles()
  std::string id;
  std::string subject;  ///< "POOL", or "POOL/SINK"
  bool raised = false;
  std::string evidence;  ///< no secrets; empty when cleared
};

using ConditionCallback = std::function<void(const KeyCondition&)>;

/// What status shows of a pool.
struct PoolStatus {
  std::string name;
  std::string store;  ///< KeyStore::kind()
  Phase phase = Phase::steady;
  std::optional<int64_t> next_rotation;  ///< unix seconds
  std::vector<std::string> missing;      ///< sinks that do not have the present ring
  std::vector<std::string> gone;         ///< sinks whose namespace was deleted
  /// Servers, and how often their keys were written again because somebody else had changed them.
  std::vector<std::pair<std::string, uint64_t>> repairs;
};

/// One pool: a store, the sinks of its ring, and the loop between them. Not thread-safe: one thread
/// calls everything.
class KeyPool {
 public:
  /// Seconds between attempts at a sink or store that failed, and between looks at what servers
  /// hold: nothing tells of a sysctl that was written.
  static constexpr int64_t kRetry = 5;
  static constexpr int64_t kVerify = 2;

  KeyPool(std::string name, std::unique_ptr<KeyStore> store, const Clock& clock,
          ConditionCallback callback);

  /// Before start(), or at any time (a new namespace gets the present ring at the next tick).
  void add_sink(std::unique_ptr<KeySink> sink);

  /// What is done with a server that holds other keys than it was given. Before start().
  void set_on_drift(OnDrift on_drift) { on_drift_ = on_drift; }

  /// Takes the sinks away, to hand them to the pool that replaces this one: those of other
  /// namespaces cannot be opened again without privileges.
  std::vector<std::unique_ptr<KeySink>> take_sinks();

  /// Opens the store and applies its ring. A store without keys begins with those that the servers
  /// hold, if they all hold the same. Fails if there are no keys to start with; a sink that fails
  /// raises its condition and is tried again.
  Result<> start();

  /// Does what is due and returns the seconds until it wants to be called again (1 or more).
  int64_t tick();

  /// A rotation by command, carried through as far as the sinks let it. An error after it has begun
  /// says which sink holds it; it then goes on by itself. A farm's is only asked for.
  Result<> rotate();

  /// See KeyStore::import.
  Result<> import(const std::vector<Key>& keys);

  /// The ring's accepted keys in the kernel's text form, comma-separated in the order that import()
  /// takes: current, previous, retired. A staged key comes last but counts as retired. Secret!
  Secret export_text() const;

  const std::string& name() const { return name_; }
  const KeyRing& ring() const { return store_->ring(); }
  /// The ring as validators get it: nothing is renewed as long as some server is not known to hold
  /// the key to renew to. Without servers of our own the store's word is taken.
  KeyRing offered() const;
  PoolStatus status() const;
  int event_fd() const { return store_->event_fd(); }
  rotation::EtcdStore* farm() const { return store_->farm(); }

 private:
  struct Place {
    std::unique_ptr<KeySink> sink;
    uint64_t revision = 0;  ///< of the ring it has taken; 0 = none
    std::string error;      ///< of the last attempt; empty = none
    std::string gone;
    std::string drift;
    RepairLog repairs;
    std::string found;  ///< what the last repair found there
    std::string repaired;
    std::string fight;
  };

  void run(const Moment& now);
  void apply();
  bool apply_role(KeySink::Role role);
  bool review_renewal();
  Renewal borne_out() const;
  std::vector<Key> slots_of(const Place& place) const;
  void apply_to(Place& place);
  void lose(Place& place, const std::string& error);
  void recheck_staged(const Moment& now);
  std::vector<Key> held_by_all_servers() const;
  void verify_servers(const Moment& now);
  void verify(Place& place, const Moment& now);
  void repair(Place& place, const Moment& now, const std::string& found);
  void report_repairs(Place& place, int64_t now);
  void report_hold();
  void report_troubles();
  Result<> carried_through() const;
  bool has_ring(const Place& place) const;
  std::vector<std::string> missing() const;
  std::vector<std::string> changed() const;
  std::string hold_evidence() const;
  void report_all() const;
  /// Reports (id, subject) if `evidence` differs from what was reported last, and remembers it.
  void report(const std::string& id, const std::string& subject, std::string& last,
              const std::string& evidence);

  std::string name_;
  std::unique_ptr<KeyStore> store_;
  const Clock& clock_;
  ConditionCallback callback_;
  std::vector<Place> places_;
  Renewal renewal_;  ///< what validators were given of ring().renewal
  OnDrift on_drift_ = OnDrift::repair;
  std::string store_error_;
  std::string held_;
  std::map<std::string, std::string> troubles_;  // evidence by id
  int64_t verified_at_ = 0;                      ///< boot seconds
};

}  // namespace tfo
