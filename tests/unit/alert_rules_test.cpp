// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "loader/alert/rule.h"

namespace tfo::alert {
namespace {

using testing::Contains;

TEST(AlertRules, AreUniqueLabelsInAnOrderInWhichTheyAbsorb) {
  std::vector<std::string_view> seen;
  for (const Rule& rule : default_rules()) {
    EXPECT_EQ(rule.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
    EXPECT_THAT(seen, testing::Not(Contains(rule.id)));
    if (!rule.absorbed_by.empty()) {
      EXPECT_THAT(seen, Contains(rule.absorbed_by)) << rule.id;
    }
    EXPECT_TRUE(rule.levels[0] || rule.levels[1]) << rule.id;
    seen.push_back(rule.id);
  }
}

std::set<std::string> headings_of(const std::string& runbook) {
  std::ifstream file(std::string(TFO_SOURCE_DIR) + "/dashboards/runbooks/" + runbook);
  std::set<std::string> headings;
  for (std::string line; std::getline(file, line);) {
    std::ranges::transform(line, line.begin(), [](unsigned char c) { return std::tolower(c); });
    if (line.starts_with("## ")) headings.insert(runbook + "#" + line.substr(3));
  }
  return headings;
}

TEST(AlertRules, HaveRunbooks) {
  for (const Rule& rule : default_rules()) {
    for (const std::string_view runbook : rule.runbooks) {
      const std::string name(runbook.substr(0, runbook.find('#')));
      EXPECT_THAT(headings_of(name), Contains(std::string(runbook))) << rule.id;
    }
  }
}

}  // namespace
}  // namespace tfo::alert
