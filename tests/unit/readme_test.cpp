// SPDX-License-Identifier: BSD-2-Clause
// The README's table of reasons is the list that the program and user space share.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "bpf/tfo_abi.h"

namespace tfo {
namespace {

TEST(Readme, NamesEveryReasonWithItsSentence) {
  std::ifstream file(std::string(TFO_SOURCE_DIR) + "/README.md");
  ASSERT_TRUE(file) << "README.md is missing";
  std::stringstream text;
  text << file.rdbuf();
  const std::string rows[] = {
#define TFO_README_ROW(id, name, label, sentence) "| `" label "` | " sentence " |",
      TFO_REASONS(TFO_README_ROW)
#undef TFO_README_ROW
  };
  size_t at = 0;
  for (const std::string& row : rows) {
    at = text.str().find(row, at);
    ASSERT_NE(at, std::string::npos) << "missing or out of order in README.md: " << row;
  }
}

}  // namespace
}  // namespace tfo
