// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "loader/rotation/machine.h"

namespace tfo::rotation {

/// Has this ack promised the document of this counter and hash, in full?
bool promises(const Ack& ack, const Counter& counter, const std::string& hash);

/// What writing a document needs besides what stands in the last one.
struct Author {
  const Policy& policy;
  const std::string& node;
  const Machine::KeyMaker& make_key;
  const Machine::IdMaker& make_id;
};

/// A document in the making: the one that was read, changed, to be finished once.
class Draft {
 public:
  /// `timely`: `now` is the time. Else it is only not earlier than what `from` has, and nothing
  /// comes to its end or is given longer by it.
  Draft(const Author& author, const Document& from, int64_t now, bool timely)
      : author_(author), from_(from), doc_(from), now_(now), timely_(timely) {}

  Document& doc() { return doc_; }

  /// A new key at the newest place; its id. Makes room for it first.
  uint64_t add_fresh();

  /// steady -> prepare, with a new key.
  void begin();
  void enter(State state, bool aborting = false);
  /// Steady with these slots: `current` must be usable, `other` may be 0.
  void settle(uint64_t current, uint64_t other);

  /// Lives of the generations as time and policy have them. True if that changed anything.
  bool look_after();

  /// Counter, times, lives, and an event unless `what` is empty. `present`: nodes that are members
  /// again if they had been forgotten.
  Document finish(const std::string& what, const std::map<std::string, Member>& present);

 private:
  bool live_on(FarmGeneration& generation) const;
  void retire();

  const Author& author_;
  const Document& from_;
  Document doc_;
  int64_t now_;
  bool timely_;
};

/// One decision: see Machine::decide().
class Decider {
 public:
  Decider(const Author& author, const FarmView& view, int64_t now);

  Decision decide();

 private:
  /// A draft: to be written. Nothing: not now. An error: why the request cannot be served.
  struct Answer {
    Draft draft;
    std::string what;
  };
  using Outcome = Result<std::optional<Answer>>;

  std::string clock_trouble() const;
  /// May it act on the time? Others can contradict ours, or there are none.
  bool clock_known() const;
  void serve_requests();
  Outcome answer(const Request& request);
  Result<> check_counter(const Request& request) const;
  Outcome rotate() const;
  Outcome abort() const;
  Outcome revoke(const Request& request) const;
  Outcome revoke_gently(const FarmGeneration& generation) const;
  void take_out(Draft& next, uint64_t id) const;
  Outcome forget(const Request& request);
  Outcome rekey(const Request& request) const;

  void forget_lost();
  void step();
  void complete(Draft& next, std::string& what) const;
  bool due() const;
  bool past_deadline() const;
  /// Empty if it is safe to mint without those who are missing, else why not.
  std::string why_hold() const;
  void upkeep();
  void say_held();
  void set_wake();
  void wake_at(int64_t time);

  Draft draft() const { return {author_, doc_, now_, timely_}; }
  void write(Draft draft, const std::string& what);

  const Author& author_;
  const FarmView& view_;
  const Document& doc_;
  int64_t clock_;  ///< ours, as it is
  bool timely_;    ///< the view is complete, and clock_known()
  int64_t now_;    ///< what the document was issued at, or, if timely_, the time if that is later
  Decision decision_;
  std::vector<std::string>& missing_;
};

}  // namespace tfo::rotation
