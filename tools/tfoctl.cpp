// SPDX-License-Identifier: BSD-2-Clause
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "loader/keys/redact.h"
#include "loader/no_core_dump.h"
#include "tools/grammar.h"

namespace {

/// The arguments, and nothing of a key among them left for those who list processes: `replay` may
/// run for hours.
std::vector<std::string> take_arguments(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (int i = 1; i < argc; i++) {
    if (tfo::looks_like_key(argv[i])) std::fill_n(argv[i], std::strlen(argv[i]), 'x');
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  tfo::Context context{std::cin, std::cout, std::cerr};
  if (auto safe = tfo::forbid_core_dumps(); !safe) return tfo::report(context, safe.error());
  tfo::set_up_log();
  if (isatty(STDOUT_FILENO)) context.terminal = &std::cout;
  context.live = isatty(STDERR_FILENO) != 0;
  try {
    const int code = tfo::run_tfoctl(context, take_arguments(argc, argv));
    std::cout.flush();
    if (std::cout || code == tfo::kExitFailed) return code;
    return tfo::report(context, tfo::Error{"cannot write to standard output"});
  } catch (const std::exception& error) {
    return tfo::report(context, tfo::Error{error.what()});
  }
}
