// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/result.h"
#include "loader/rotation/document.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

/// How a farm's keys live. Seconds.
struct Policy {
  int64_t interval = 86400;         ///< 0 = by command only
  unsigned accept_generations = 4;  ///< retired ones accepted besides current, other, next
  int64_t not_after = 3 * 86400;    ///< 0 = no end
  int64_t deadline = 60;            ///< for the last acknowledgement of a state
  bool go_on_at_deadline = false;   ///< as far as that is safe; else hold
  int64_t forget_after = 86400;     ///< without a lease
};

/// What the leader knows.
struct FarmView {
  Document document;
  std::map<std::string, Member> members;  ///< by node
  std::map<std::string, Ack> acks;        ///< by node
  std::set<std::string> live;             ///< nodes that hold a lease
  /// Seconds for which a member has been without a lease, by a clock that nobody can set, and at
  /// most since this leader began to look.
  std::map<std::string, int64_t> silent_for;
  /// Clock of the acks that arrived lately less our own, in seconds, by node. Until most of the
  /// others who are there and have ever acknowledged anything are among them, a leader whose clock
  /// is wrong cannot know it, and does nothing because of the time.
  std::map<std::string, int64_t> clock_offsets;
  /// Does somebody keep our own clock right (Moment::synchronised)? Counts where none of the other
  /// members can contradict it.
  bool synchronised = true;
  std::vector<Request> requests;
  /// False for 2 lease TTLs after it became leader: nothing new is minted, what is under way and
  /// needs no new key goes on.
  bool may_mint = true;
  /// False for a poll after it became leader: a node whose record was deleted from etcd has not put
  /// it back yet, and no acknowledgements are taken for all of them.
  bool complete = true;
};

/// So many members are forgotten by one document, at most: their records are deleted in the
/// transaction that writes it, and etcd takes 128 operations in one.
inline constexpr size_t kMostForgotten = 50;

/// What the leader does about it.
struct Decision {
  /// To be written with a comparison of the document read; its counter is one higher.
  std::optional<Document> next;
  std::vector<std::string> served;  ///< ids of requests that `next` serves
  /// Requests that cannot be served, and why; they are deleted, and whoever asked is told.
  std::map<std::string, std::string> refused;
  std::vector<std::string> forget;     ///< member records to delete with it
  std::vector<std::string> waits_for;  ///< members whose acknowledgement is missing; empty: none
  std::string held;    ///< why a rotation does not go on past its deadline; empty: it does
  std::string resign;  ///< why this leader should not lead; empty: it may
  std::optional<int64_t> wake_at;  ///< unix seconds: when time alone changes the decision
};

/// The rotator. Pure: the same for every node, so that any leader goes on from any state.
///
///   steady     due or asked -> prepare, which changes nobody's slots: it waits for nobody
///   prepare    all acked -> staged; aborting: all acked -> steady, the new key gone
///   staged     all acked -> minting; past the deadline, if the policy is to go on, every balancer
///              has acknowledged that it renews for every VIP, and only others are missing: minting
///   minting    all acked -> steady with the new key as current, the old one as other
///   unminting  all acked -> minting; aborting: all acked -> steady, the new key as other
///
/// An abort leads from staged to prepare and from minting to unminting at once. Revoking something
/// that servers hold leads to steady at once, with what else they hold; refusals of what one of
/// them does not hold yet are deliberate. In any state: who was without a lease for forget_after is
/// forgotten, and what is in the slots or about to be has its not_after extended before it comes.
///
/// A request counts if nothing but such extensions was written since the document that it names,
/// which every other document's event tells; an abort in any state of the rotation that it names.
class Machine {
 public:
  using KeyMaker = std::function<Key()>;
  using IdMaker = std::function<uint64_t()>;
  explicit Machine(Policy policy, std::string node, KeyMaker make_key = Key::random,
                   IdMaker make_id = {});

  /// The first document of a farm: these keys (first current, second other, the rest retired), or a
  /// random one. `incarnation`: unix seconds.
  Result<Document> first(const std::string& farm, const std::string& pool, int64_t now,
                         uint32_t farm_key, const std::vector<Key>& keys) const;

  /// `now`: unix seconds; taken for no earlier than the document's issued_at, and for just that
  /// while nobody can tell whether it is right: no wrong clock gets into a document. One step: to
  /// be called again when the document, an acknowledgement, a member, a lease or a request is
  /// another, and at wake_at.
  Decision decide(const FarmView& view, int64_t now) const;

 private:
  Policy policy_;
  std::string node_;
  KeyMaker make_key_;
  IdMaker make_id_;
};

/// Has this member acknowledged this document, in full?
bool has_acked(const FarmView& view, const std::string& node);

/// What a node does with a document that it read, given the one that it has persisted.
enum class Verdict {
  kFollow,   ///< it is higher: persist, apply, read back, acknowledge
  kSame,     ///< nothing to do
  kFork,     ///< same counter, other content: keep ours, alert
  kPutBack,  ///< it is lower, or there is none: put ours back, raise store_rolled_back
};
Verdict judge(const std::optional<Document>& mine, const std::optional<Document>& read);

/// Generations that a node saw revoked and that `read`, which it now takes, accepts: of those that
/// it knew of already (`lost`) and of its own document (`mine`). Only a restored etcd brings this
/// about, when its counter has gone past that of a revocation. Until the document revokes them
/// again the node asks for that, and goes by guarded().
std::set<uint64_t> lost_revocations(const std::set<uint64_t>& lost,
                                    const std::optional<Document>& mine, const Document& read);

/// The document as a node may apply it that knows `lost` to be revoked: they are, and what else is
/// in the slots takes their place, as a revocation would have it. One thing only cannot be so:
/// where nothing else is in the slots, the key that servers mint with stays what it is.
Document guarded(const Document& document, const std::set<uint64_t>& lost);

/// Does that change what servers hold, will hold, or what validators renew to?
bool touches_slots(const Document& document, const std::set<uint64_t>& lost);

}  // namespace tfo::rotation
