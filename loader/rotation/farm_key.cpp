// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "loader/keys/private_file.h"
#include "loader/rotation/seal.h"

namespace tfo::rotation {
namespace {

constexpr uint32_t kMaxNumber = 0x7fffffff;
constexpr size_t kMaxSize = size_t{64} * 1024;
constexpr char kContext[] = "tfoguard farm key fingerprint";
constexpr char kShape[] = "is not `NUMBER HEX64` with a number from 1 to 2147483647";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  return line;
}

/// The number, taken off the line together with the space behind it; 0 if there is none.
uint32_t take_number(std::string_view& line) {
  uint32_t number = 0;
  const auto read = std::from_chars(line.data(), line.data() + line.size(), number);
  const auto digits = static_cast<size_t>(read.ptr - line.data());
  if (read.ec != std::errc() || number > kMaxNumber || digits == line.size() ||
      !is_space(line[digits])) {
    return 0;
  }
  line = trimmed(line.substr(digits));
  return number;
}

bool take_hex(std::string_view text, uint8_t* bytes, size_t size) {
  size_t length = 0;
  const char* end = nullptr;
  return text.size() == 2 * size &&
         sodium_hex2bin(bytes, size, text.data(), text.size(), nullptr, &length, &end) == 0 &&
         length == size && end == text.data() + text.size();
}

}  // namespace

Result<FarmKey> FarmKey::parse(std::string_view text) {
  FarmKey key;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t newline = text.find('\n');
    std::string_view content = trimmed(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (content.empty()) continue;
    Line line{.number = take_number(content), .key = Bytes(kSize)};
    if (line.number == 0 || !take_hex(content, line.key.data(), kSize)) {
      return fail(fmt::format("line {} {}", number, kShape));
    }
    if (sodium_is_zero(line.key.data(), kSize) == 1) {
      return fail(fmt::format("line {}: the key is all zero", number));
    }
    for (const Line& other : key.lines_) {
      if (other.number == line.number)
        return fail(fmt::format("line {}: its number is there twice", number));
      if (other.key == line.key)
        return fail(fmt::format("line {}: its key is there twice", number));
    }
    key.lines_.push_back(std::move(line));
  }
  if (key.lines_.empty()) return fail("there is no key in it");
  if (key.lines_.size() > kMaxLines) {
    return fail(fmt::format("{} keys; there are at most {}: remove the oldest", key.lines_.size(),
                            kMaxLines));
  }
  std::sort(key.lines_.begin(), key.lines_.end(),
            [](const Line& a, const Line& b) { return a.number < b.number; });
  return key;
}

Result<FarmKey> FarmKey::load(const std::string& path) {
  const std::string where = "farm key " + path;
  auto opened = open_private_file(path, "farm.key_file",
                                  "put a new line into it on all nodes and run `tfoctl farm rekey "
                                  "--revoke-all`");
  if (!opened) return tl::unexpected(std::move(opened.error()).in(where));
  const std::optional<PrivateFile>& file = *opened;
  if (!file) {
    return fail(where +
                ": there is no such file; copy it from another node of this farm, or make "
                "a new farm with `tfoctl farm init`");
  }
  if (static_cast<size_t>(file->size) > kMaxSize) return fail(where + ": it is far too big");
  const auto text = file->read(kMaxSize);
  if (!text) return fail(where + ": " + text.error().message);
  auto key = parse(*text);
  if (!key) return tl::unexpected(std::move(key.error()).in(where));
  return key;
}

Secret FarmKey::new_line(uint32_t number) {
  Bytes bytes(kSize);
  const Key first = Key::random();
  const Key second = Key::random();
  std::copy(first.bytes().begin(), first.bytes().end(), bytes.begin());
  std::copy(second.bytes().begin(), second.bytes().end(), bytes.begin() + Key::kSize);
  Secret line;
  line.buffer().reserve(128);
  line.buffer() += std::to_string(number) + ' ';
  for (const uint8_t byte : bytes) {
    line.buffer() += "0123456789abcdef"[byte >> 4];
    line.buffer() += "0123456789abcdef"[byte & 15];
  }
  line.buffer() += '\n';
  return line;
}

uint32_t FarmKey::newest() const { return lines_.empty() ? 0 : lines_.back().number; }

std::vector<uint32_t> FarmKey::numbers() const {
  std::vector<uint32_t> numbers;
  numbers.reserve(lines_.size());
  for (const Line& line : lines_) numbers.push_back(line.number);
  return numbers;
}

std::string FarmKey::fingerprint(uint32_t number) const {
  const auto line =
      std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.number == number; });
  if (line == lines_.end()) return {};
  std::array<uint8_t, crypto_generichash_BYTES_MIN> hash{};
  crypto_generichash(hash.data(), hash.size(), line->key.data(), line->key.size(),
                     reinterpret_cast<const uint8_t*>(kContext), sizeof(kContext) - 1);
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3]);
}

}  // namespace tfo::rotation
