// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "loader/alert/alert.h"
#include "loader/result.h"

namespace tfo::alert {

/// The alerts that are raised, so that a restart keeps when they began. A JSON file of mode 0600,
/// replaced as a whole with fsync.
class AlertFile {
 public:
  explicit AlertFile(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  /// None if there is no file. One that is damaged, or that others can reach, is an error.
  Result<std::vector<Alert>> load() const;
  Result<> save(const std::vector<Alert>& alerts) const;

 private:
  std::string path_;
};

}  // namespace tfo::alert
