// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/config.h"
#include "loader/result.h"
#include "loader/rotation/machine.h"
#include "tools/context.h"

namespace tfo {

/// What of a tfod's configuration says which farm it belongs to.
struct FarmPlan {
  FarmConfig farm;
  std::string pool;
  rotation::Policy policy;
};

/// The farm of a configuration. Everything that is wrong with the file goes to standard error.
Result<FarmConfig> load_farm(Context& context, const std::string& config_file);

/// And its pool: the named one, or the only one that is shared.
Result<FarmPlan> load_plan(Context& context, const std::string& config_file,
                           const std::string& pool);

}  // namespace tfo
