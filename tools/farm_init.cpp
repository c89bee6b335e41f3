// SPDX-License-Identifier: BSD-2-Clause
#include "tools/commands.h"
namespace tfo {
int farm_init(Context& context, const FarmFileArgs&) { return report(context, Error{"soon"}); }
int farm_new_line(Context& context, const FarmFileArgs&) { return report(context, Error{"soon"}); }
}  // namespace tfo
