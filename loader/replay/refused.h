// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "loader/replay/replay.h"

namespace tfo {

/// Why the servers refuse the Fast Open of a SYN with this reason: they take no data from it and
/// answer as RFC 7413 section 4.2.2 has it, with an ordinary handshake. Empty: they do not, or
/// nobody can say (no_key).
std::string_view refusal(tfo_reason reason);

/// Whose Fast Open the servers refuse, counted by client, VIP and reason in bounded memory: past
/// `capacity` rows, those of the fewest SYNs are given up for the sum of the others.
class RefusedClients : public ReplaySink {
 public:
  struct Client {
    int family = 0;  // 4 or 6
    std::array<uint8_t, 16> address{};
    uint32_t slot = TFO_NODE_SLOT;  // of the VIP
    tfo_reason reason = TFO_INTERNAL_ERROR;
    auto operator<=>(const Client&) const = default;
  };
  struct Count {
    uint64_t syns = 0;
    uint64_t with_data = 0;
  };
  struct Row {
    Client client;
    Count count;
  };

  explicit RefusedClients(size_t capacity = 65'536) : capacity_(capacity) {}

  Result<> take(const ReplayedFrame& frame) override;

  /// The rows of the most SYNs, the largest first; at most `most`.
  std::vector<Row> largest(size_t most) const;
  size_t rows() const { return counts_.size(); }
  /// All that were refused, and those among them whose row was given up.
  const Count& total() const { return total_; }
  const Count& given_up() const { return given_up_; }

 private:
  void make_room();
  size_t capacity_;
  uint64_t floor_ = 0;  // rows of so many SYNs were given up
  std::map<Client, Count> counts_;
  Count total_, given_up_;
};

}  // namespace tfo
