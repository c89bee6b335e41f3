// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "loader/keys/ring.h"

namespace tfo {

/// A key that a derived pool accepts besides those of its secret, as a retired one: of another
/// secret or store, or of a clock that was set. It has a life of its own, and `end` (unix seconds)
/// if that is without end or longer.
Generation guest(Generation generation, int64_t end);

/// The retired ones newest first: there is room for sixteen, and the oldest are the least missed.
/// Those last whose time is more than an `interval` to come (seconds): a clock that was ahead made
/// them, and they must not push out what servers did mint with.
void sort_guests(std::vector<Generation>& generations, int64_t now, int64_t interval);

/// Sorted, each key once with its longest life, and no more than fit into a ring.
void bound_guests(std::vector<Generation>& guests, int64_t now, int64_t interval);

/// Adds those that still live and are not in it, as many as there is room for.
void add_guests(KeyRing& ring, const std::vector<Generation>& guests, int64_t now,
                int64_t interval);

}  // namespace tfo
