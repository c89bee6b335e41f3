// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "tools/grammar.h"

namespace tfo::test {

/// What a command line of tfoctl did.
struct Ran {
  int code;
  std::string out;
  std::string err;
};

/// Runs a whole command line of tfoctl inside the test, with `input` as its standard input.
inline Ran run_tfoctl(const std::vector<std::string>& arguments, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out, err;
  Context context{in, out, err};
  const int code = tfo::run_tfoctl(context, arguments);
  return {code, out.str(), err.str()};
}

}  // namespace tfo::test
