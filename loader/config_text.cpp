// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "loader/config.h"
#include "loader/keys/redact.h"

namespace tfo {
namespace {

struct Unit {
  char letter;
  int64_t seconds;
};
constexpr Unit kUnits[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
constexpr int64_t kLongest = int64_t{100} * 365 * 86400;  // keeps every sum far from overflow

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  if (text == "0") return std::chrono::seconds{0};
  int64_t total = 0;
  const Unit* next = std::begin(kUnits);  // units come in falling order, each at most once
  while (!text.empty()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0 || number > kLongest) return std::nullopt;
    text.remove_prefix(end - text.data());
    if (text.empty()) return std::nullopt;
    const Unit* unit = std::find_if(next, std::end(kUnits),
                                    [&](const Unit& u) { return u.letter == text.front(); });
    if (unit == std::end(kUnits) || number > kLongest / unit->seconds) return std::nullopt;
    total += number * unit->seconds;
    if (total > kLongest) return std::nullopt;
    next = unit + 1;
    text.remove_prefix(1);
    if (text.empty()) return std::chrono::seconds{total};
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_fine_duration(std::string_view text) {
  if (text.ends_with("ms")) {
    int64_t number = 0;
    const char* const end = text.data() + text.size() - 2;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop != end || number < 0) return std::nullopt;
    return std::chrono::milliseconds{number};
  }
  return parse_duration(text);
}

std::string duration_text(std::chrono::seconds duration) {
  int64_t rest = duration.count();
  if (rest == 0) return "0";
  std::string text;
  for (const Unit& unit : kUnits) {
    // Days only when they say it all: "24h" and "36h" read better than "1d" and "1d12h".
    if (unit.letter == 'd' && (rest % 86400 != 0 || rest == 86400)) continue;
    if (rest >= unit.seconds) {
      text += fmt::format("{}{}", rest / unit.seconds, unit.letter);
      rest %= unit.seconds;
    }
  }
  return text;
}

std::string ConfigError::text() const {
  std::string line = where.empty() ? wrong : where + ": " + wrong;
  if (!right.empty()) line += "; " + right;
  return without_keys(line);
}

std::string Config::pin_directory() const { return bpffs + "/tfoguard/" + instance; }

std::string Config::servers_file() const { return state_directory + "/" + instance + ".servers"; }
std::string Config::alerts_file() const { return state_directory + "/" + instance + ".alerts"; }

const PoolConfig* Config::pool(std::string_view name) const {
  const auto found =
      std::find_if(pools.begin(), pools.end(), [&](const PoolConfig& p) { return p.name == name; });
  return found == pools.end() ? nullptr : &*found;
}

}  // namespace tfo
