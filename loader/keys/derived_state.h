// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "loader/result.h"

namespace tfo {

/// What a derived pool remembers: until which time it has acted. With the secret that gives the
/// keys again, so there is no secret in it.
struct DerivedState {
  int64_t acted_at = 0;  ///< unix seconds
  int64_t interval = 0;  ///< seconds
  int64_t index = 0;     ///< of the interval that was current; for people, as is `interval`
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
