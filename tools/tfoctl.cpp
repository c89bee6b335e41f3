// SPDX-License-Identifier: BSD-2-Clause
#include <sys/prctl.h>
#include <unistd.h>

#include <exception>
#include <iostream>

#include "tools/grammar.h"

int main(int argc, char** argv) {
  prctl(PR_SET_DUMPABLE, 0);  // keys pass through: no core dumps
  std::ios::sync_with_stdio(false);
  tfo::set_up_log();
  tfo::Context context{std::cin, std::cout, std::cerr};
  if (isatty(STDOUT_FILENO)) context.terminal = &std::cout;
  try {
    const int code = tfo::run_tfoctl(context, {argv + 1, argv + argc});
    std::cout.flush();
    if (std::cout || code == tfo::kExitFailed) return code;
    return tfo::report(context, tfo::Error{"cannot write to standard output"});
  } catch (const std::exception& error) {
    return tfo::report(context, tfo::Error{error.what()});
  }
}
