// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/keys/key.h"
#include "loader/keys/ring.h"
#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo::rotation {

/// Which of two documents is the newer one. `incarnation` is the unix time at which the farm was
/// made, so that a farm made anew is above the old one wherever that still lies.
struct Counter {
  int64_t incarnation = 0;
  uint64_t sequence = 0;  ///< raised by every document

  auto operator<=>(const Counter&) const = default;
  /// "1700000000.12", for people.
  std::string text() const;
};

/// Where a farm-wide rotation stands. g is the current generation, p the other one in the slots, n
/// the next one.
///
///   state      servers' slots  validators renew everything but  to
///   steady     g,p             g, p                             p
///   prepare    g,p             g                                g
///   staged     g,n             g                                g
///   minting    n,g             g                                g
///   unminting  g,n             g                                g
///
/// The next one begins only when every member has acknowledged the one before; machine.h has the
/// exceptions. So the slots of all members have a key in common at every moment, and validators
/// renew to it what some server would refuse.
enum class State { kSteady, kPrepare, kStaged, kMinting, kUnminting };

/// "steady", "prepare", "staged", "minting", "unminting"; and back.
std::string_view to_string(State state);
std::optional<State> state_from(std::string_view name);

/// 16 hex digits as id_text() writes them.
std::optional<uint64_t> id_from(std::string_view text);

/// 64 random bits, not 0.
uint64_t random_id();

/// One key of the farm.
struct FarmGeneration {
  uint64_t id = 0;  ///< 64 random bits, never 0: two rotators cannot name two keys alike
  Key key;
  int64_t created_at = 0;  ///< unix seconds
  int64_t not_after = 0;   ///< unix seconds; 0 = no such moment
  bool revoked = false;    ///< recognised, never accepted; stays so wherever documents are united

  bool operator==(const FarmGeneration&) const = default;
};

/// What happened, for `tfoctl key history`. No secrets.
struct Event {
  int64_t at = 0;  ///< unix seconds
  Counter counter;
  State state = State::kSteady;  ///< that it led to
  std::string what;              ///< "rotation by command", "revoked 1122334455667788"
  std::string by;                ///< node that wrote it

  bool operator==(const Event&) const = default;
};

/// Names in the order in which they were put in, each once. Of more than kMost the oldest go.
class NameList {
 public:
  static constexpr size_t kMost = 256;
  using value_type = std::string;
  using const_iterator = std::vector<std::string>::const_iterator;
  using iterator = const_iterator;

  NameList() = default;
  NameList(std::initializer_list<std::string> names) { insert(names.begin(), names.end()); }

  void insert(const std::string& name);
  template <class Iterator>
  void insert(Iterator begin, Iterator end) {
    for (; begin != end; ++begin) insert(*begin);
  }
  template <class Condition>
  void erase_if(const Condition& condition) {
    std::erase_if(names_, condition);
  }
  bool contains(const std::string& name) const;
  bool empty() const { return names_.empty(); }
  size_t size() const { return names_.size(); }
  const_iterator begin() const { return names_.begin(); }
  const_iterator end() const { return names_.end(); }

  bool operator==(const NameList&) const = default;

 private:
  std::vector<std::string> names_;
};

/// All that a farm agrees on about one pool. Its order of generations is the document's, not that
/// of ids or times: after an abort out of minting the newer key is the older place's.
struct Document {
  static constexpr size_t kMaxEvents = 64;

  std::string farm;
  std::string pool;
  Counter counter;
  State state = State::kSteady;
  std::vector<FarmGeneration> generations;  ///< oldest first; at most TFO_MAX_GENERATIONS
  uint64_t current = 0;                     ///< g
  uint64_t other = 0;                       ///< p; 0: the servers' backup slot is empty
  uint64_t next = 0;                        ///< n; 0 in steady
  bool aborting = false;                    ///< prepare and unminting: on the way back to steady
  uint64_t doomed = 0;  ///< to be revoked when this rotation has taken its place; 0: none
  /// Former members that were not asked, oldest first. One that is no more among them finds by its
  /// record, which is gone, that it was forgotten.
  NameList forgotten;
  uint32_t min_key = 0;       ///< number of the lowest line of the farm key file that may seal
  int64_t issued_at = 0;      ///< unix seconds, by its writer's clock; never lower than before
  int64_t state_since = 0;    ///< unix seconds: when this state was entered
  int64_t rotated_at = 0;     ///< unix seconds: when the last rotation was complete
  std::string writer;         ///< node
  std::vector<Event> events;  ///< oldest first; at most kMaxEvents, the oldest go

  const FarmGeneration* find(uint64_t id) const;
  FarmGeneration* find(uint64_t id);
  /// Is it current, other or next?
  bool in_slots(uint64_t id) const { return id == current || id == other || id == next; }
  /// Leaves at most `most` generations, three or more: retired ones go first, then revoked ones,
  /// the oldest of each.
  void make_room(size_t most);

  /// Ids set and unique, no key twice or all zero, current there and not revoked, other and next
  /// there where the state needs them, and so on. Errors hold no secrets.
  Result<> check() const;

  bool operator==(const Document&) const = default;
};

/// The document as JSON, and back. Secret: it holds keys. An error never repeats what was read. A
/// field of a later release is an error: what is not understood must not be acted on.
WipedString encode(const Document& document);
Result<Document> decode_document(std::string_view text);

/// 16 hex digits that name a document's content (BLAKE2b of encode()); tells nothing of the keys to
/// whoever lacks them.
std::string hash_of(const Document& document);

/// Ids of what the servers hold, the one that they mint with first; 0: nothing in the second slot.
std::vector<uint64_t> slots_of(const Document& document);

/// The ring of this document for validators and servers, places, phase and renewal as in the table
/// above. A generation that is not in the slots and past its not_after at `now` is left out;
/// revoked ones stay to their not_after. `renew_until`: unix seconds up to which this node may
/// trust it.
KeyRing ring_of(const Document& document, uint64_t revision, int64_t now, int64_t renew_until);

/// What makes one of two documents of the same counter and other content (a fork); the counter of
/// both, one sequence higher. The order of the arguments does not matter. Generations of both, as
/// many as there is room for, and the revocations of both: what either revoked is never accepted
/// again. A rotation that was under way is given up.
///
/// Some members have applied the one document and some the other. So the current key becomes one
/// that is in the slots of both (the one that the document with the lower hash mints with, if that
/// is), the second slot what else that document has in it, and the state `unminting`: everything
/// but the current key is renewed to it, until all have acknowledged and it is steady. Only if
/// revocations have left no common key is it steady at once, with a key of `make_key` if none is
/// left at all; then servers refuse what others mint for as long as they differ.
Document unite(const Document& a, const Document& b, int64_t now, const std::string& writer,
               const std::function<Key()>& make_key = Key::random);

}  // namespace tfo::rotation
