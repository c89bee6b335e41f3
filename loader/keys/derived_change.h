// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "loader/keys/ring.h"

namespace tfo {

/// The same current, previous and staged keys?
bool same_slots(const KeyRing& a, const KeyRing& b);

/// Is there nothing that a sink would do differently? (All but the revision.)
bool same_ring(const KeyRing& a, const KeyRing& b);

}  // namespace tfo
