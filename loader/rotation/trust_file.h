// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "loader/keys/clock.h"
#include "loader/result.h"

namespace tfo::rotation {

/// Until when validators may renew by what etcd confirmed. That stays true although the process is
/// another, so a tfod that is restarted need not stop renewing until etcd answers. Counted on the
/// boot clock: a reboot forgets it. No secrets.
class TrustFile {
 public:
  /// `state_file`: of the same pool; this one lies beside it.
  explicit TrustFile(const std::string& state_file) : path_(state_file + ".fresh") {}

  /// Unix seconds by the clock as it is `now`. Nothing: it is not known.
  std::optional<int64_t> load(const Moment& now) const;
  Result<> save(const Moment& now, int64_t until) const;

 private:
  std::string path_;
};

}  // namespace tfo::rotation
