// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "tests/support/alarm_world.h"

namespace tfo::test {

/// Segments that will leave or arrive, each at its time.
class Schedule {
 public:
  void leave(uint64_t at, const Segment& segment) { waiting_.push({at, count_++, true, segment}); }
  void arrive(uint64_t at, const Segment& segment) {
    waiting_.push({at, count_++, false, segment});
  }

  /// Those that are due until then, on the clock of the world, which ends there.
  void play(AlarmWorld& world, uint64_t until);

 private:
  struct Due {
    uint64_t at;
    uint64_t number;  // of the same time, first come
    bool leaves;
    Segment segment;

    bool operator<(const Due& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };
  uint64_t count_ = 0;
  std::priority_queue<Due> waiting_;
};

/// What a server answers to a SYN. `past`: added to the number that it acknowledges.
Segment answer_to(const Segment& syn, uint32_t past = 0);
/// What a closed port answers to a SYN.
Segment refusal_of(const Segment& syn);

/// How a connection goes on whose SYN leaves at `at`; whatever is still to come is scheduled.
struct Manner {
  const char* name;
  void (*speak)(Schedule& schedule, uint64_t at, const Segment& syn);
};

/// Honest ones, each of which has been taken for an attack somewhere.
const std::vector<Manner>& honest_manners();

}  // namespace tfo::test
