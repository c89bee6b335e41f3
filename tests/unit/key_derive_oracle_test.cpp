// SPDX-License-Identifier: BSD-2-Clause
// Derived keys against an implementation that shares nothing with ours: Python's hashlib.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "loader/keys/derive.h"
#include "tests/support/options.h"

namespace tfo {
namespace {

struct Question {
  std::string secret;
  int64_t interval;
  int64_t time;
};

std::string random_secret(std::mt19937_64& random) {
  std::string secret(DerivedSecret::kSize + random() % 9, '\0');
  for (char& c : secret) c = static_cast<char>(random());
  return secret;
}

std::vector<Question> questions() {
  std::mt19937_64 random(test::test_seed());
  std::vector<Question> all = {{std::string(32, '\0'), 10, 0}, {std::string(32, '\xff'), 10, 5}};
  const int64_t intervals[] = {
      10, 12, 60, 3600, 86400, kMaxDerivedInterval - 2, kMaxDerivedInterval};
  for (const int64_t interval : intervals) {
    for (const int64_t count : {int64_t{0}, int64_t{1}, 1'700'000'000 / interval,
                                4'294'967'296 / interval, int64_t{1} << 40}) {
      for (const int64_t past : {int64_t{0}, int64_t{1}, interval / 2 - 1, interval / 2,
                                 interval / 2 + 1, interval - 1}) {
        all.push_back({random_secret(random), interval, count * interval + past});
      }
    }
  }
  while (all.size() < 2000) {
    const auto interval = static_cast<int64_t>(10 + 2 * (random() % 302'396));
    all.push_back({random_secret(random), interval, static_cast<int64_t>(random() % (1ULL << 34))});
  }
  return all;
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

TEST(DerivedOracle, AgreesOnEveryPairOfIntervalAndTime) {
  std::string pattern = (std::filesystem::temp_directory_path() / "tfo-oracle-XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path directory = pattern;
  const std::vector<Question> asked = questions();
  std::ofstream in(directory / "in");
  for (const Question& q : asked) {
    in << hex(q.secret) << ' ' << q.interval << ' ' << q.time << '\n';
  }
  in.close();
  const std::string command = fmt::format("python3 {}/tests/unit/derive_oracle.py <{}/in >{}/out",
                                          TFO_SOURCE_DIR, pattern, pattern);
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream out(directory / "out");
  for (const Question& q : asked) {
    std::string expected;
    ASSERT_TRUE(std::getline(out, expected));
    const auto text = derived_text(*DerivedSecret::parse(q.secret), q.interval, q.time);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(text->view(), expected) << "interval " << q.interval << ", time " << q.time;
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace tfo
