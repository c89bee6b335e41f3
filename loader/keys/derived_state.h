// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "loader/result.h"

namespace tfo {

/// What a derived pool remembers: until which time it has acted, and why it renews nothing. With
/// the secret that gives the keys again, so there is no secret in it.
struct DerivedState {
  /// A key that stood in a slot of the servers; tells nothing of it (see derived_id()).
  struct Name {
    int64_t index = 0;  ///< of its interval
    uint64_t id = 0;
    friend bool operator==(const Name&, const Name&) = default;
  };

  int64_t acted_at = 0;     ///< unix seconds
  int64_t interval = 0;     ///< seconds
  int64_t index = 0;        ///< of the interval that was current
  std::vector<Name> slots;  ///< primary and backup; empty in a file of an older release

  // Unix seconds, 0 where it is not so or the file is of an older release.
  int64_t renew_from = 0;      ///< nothing is renewed before
  int64_t replaced_until = 0;  ///< the secret counts as just replaced
  int64_t stepped_until = 0;   ///< our own clock is suspect
  int64_t step = 0;            ///< seconds by which it was set, of either sign
  int64_t staged_at = 0;       ///< cookies came under a key before their time
  int64_t staged_seen = 0;     ///< so many
};

/// The state in a small JSON file of mode 0600, replaced as a whole.
class DerivedStateFile {
 public:
  explicit DerivedStateFile(std::string path) : path_(std::move(path)) {}

  /// Nothing if there is none. A file that is damaged, or that others can change, is an error.
  Result<std::optional<DerivedState>> load() const;

  /// Makes the directory (0700) if only its last component is missing.
  Result<> save(const DerivedState& state) const;

  void remove() const;

 private:
  std::string path_;
};

}  // namespace tfo
