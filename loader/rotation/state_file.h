// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "loader/result.h"
#include "loader/rotation/document.h"

namespace tfo::rotation {

/// What a node remembers of one pool across restarts.
struct Remembered {
  std::string sealed;    ///< the document as it lies in etcd, to be put back as it is
  uint32_t min_key = 0;  ///< lines of the farm key below are not taken any more
  int64_t newest = 0;    ///< highest issued_at seen, unix seconds: time is never earlier
  bool joined = false;   ///< its member record was written, and not withdrawn since
  /// Generations that were seen revoked and that the document does not revoke (any more); see
  /// lost_revocations().
  std::set<uint64_t> lost = {};

  bool operator==(const Remembered&) const = default;
};

/// A JSON file of mode 0600, replaced as a whole with fsync.
class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  /// Nothing if there is none. A damaged file, or one that others can reach, is an error.
  Result<std::optional<Remembered>> load() const;
  Result<> save(const Remembered& remembered) const;

 private:
  std::string path_;
};

}  // namespace tfo::rotation
