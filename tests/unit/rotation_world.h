// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "loader/rotation/document.h"

namespace tfo::rotation {

inline constexpr int64_t kNow = 1'790'000'000;

/// A key that is nothing but this number.
inline Key key_of(uint8_t number) {
  Key::Bytes bytes{};
  bytes.front() = number;
  return Key(bytes);
}

/// Id and key `number`, made a minute before kNow for each that it is below 16.
inline FarmGeneration generation(uint8_t number, bool revoked = false) {
  return {.id = number,
          .key = key_of(number),
          .created_at = kNow - 60 * (16 - number),
          .not_after = kNow + 100'000 + number,
          .revoked = revoked};
}

/// Generations 1 to 4 (oldest first), 4 current and 3 other; beyond steady 5 is the next one.
inline Document document(State state = State::kSteady) {
  Document made;
  made.farm = "edge";
  made.pool = "web";
  made.counter = {.incarnation = kNow - 1000, .sequence = 10};
  made.state = state;
  for (uint8_t number = 1; number <= 4; ++number) made.generations.push_back(generation(number));
  made.current = 4;
  made.other = 3;
  if (state != State::kSteady) {
    made.generations.push_back(generation(5));
    made.next = 5;
  }
  made.min_key = 1;
  made.issued_at = made.state_since = made.rotated_at = kNow - 10;
  made.writer = "s1";
  made.events.push_back({.at = kNow - 1000,
                         .counter = {.incarnation = kNow - 1000, .sequence = 1},
                         .state = State::kSteady,
                         .what = "made",
                         .by = "s1"});
  return made;
}

}  // namespace tfo::rotation
