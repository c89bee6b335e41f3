// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "loader/rotation/document.h"

namespace tfo::rotation {

/// How a rotation ends, in the words of the document's events (Event::what begins with them; other
/// nodes, of other releases too, read them).
inline constexpr std::string_view kCompleteWords = "rotation complete";
inline constexpr std::string_view kAbortedWords = "rotation aborted";
inline constexpr std::string_view kRevokedWords = "revoked ";
inline constexpr std::string_view kAllRevokedWords = "every generation before revoked";

enum class Ending { kCompleted, kAborted, kRevoked };

/// What this event says of an end; nothing: of none. A rotation that was asked for to revoke a key
/// (`key revoke --gentle`, `farm rekey --revoke-all`) is kRevoked.
std::optional<Ending> ending_of(const Event& event);

/// Rotations that ended while this process looked.
struct RotationCounts {
  uint64_t completed = 0;
  uint64_t aborted = 0;
  uint64_t revoked = 0;

  bool operator==(const RotationCounts&) const = default;
};

/// Counts ends by the events of the documents that it is shown, so that documents which this node
/// missed count as well. What had happened before the first of them does not.
class EndingCounter {
 public:
  void look(const Document& document);
  const RotationCounts& counts() const { return counts_; }

 private:
  std::optional<Counter> seen_;
  RotationCounts counts_;
};

/// Members of a farm by how they stand to the document in force: each is one of these.
struct NodeCounts {
  uint64_t acknowledged = 0;  ///< alive, and has everything in force
  uint64_t pending = 0;       ///< alive, and has not said so yet
  uint64_t drifted = 0;       ///< alive, and says that something of it is not in force there
  uint64_t unreachable = 0;   ///< without a lease, whatever it acknowledged

  bool operator==(const NodeCounts&) const = default;
};

/// What one node knows of its farm's rotations; `nodes` is known to the leader only, else zeros.
struct Tally {
  RotationCounts rotations;
  NodeCounts nodes;
  bool leading = false;
};

}  // namespace tfo::rotation
