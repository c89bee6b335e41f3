// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derive.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>

#include "loader/keys/private_file.h"

namespace tfo {
namespace {

constexpr char kContext[crypto_kdf_blake2b_CONTEXTBYTES + 1] = "tofurkey";
static_assert(crypto_kdf_blake2b_KEYBYTES == DerivedSecret::kSize);

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kDigits = "0123456789";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Takes the first line off `rest`, without its end and the blanks around it.
std::string_view next_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = trimmed(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

bool is_text(std::string_view content) {
  return std::ranges::all_of(content, [](char c) {
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\t' || c == '\r';
  });
}

bool looks_like_lines(std::string_view content) {
  if (!is_text(content)) return false;
  while (!content.empty()) {
    const std::string_view line = next_line(content);
    const size_t number = line.find_first_not_of(kDigits);
    if (line.starts_with('#')) return true;
    if (number != 0 && number != std::string_view::npos &&
        kBlanks.find(line[number]) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

constexpr std::string_view kNotLines =
    "it is no plain secret (32 random bytes) and no lines `INDEX SECRET`: each of these is a "
    "decimal "
    "number, a blank and 64 hex digits, in ASCII without a byte order mark; to change a plain "
    "secret, write it as a line `0 OLDHEX` first";

/// Where xxd -p breaks a line, so that a secret of 64 hex digits has so many in a row.
constexpr size_t kHexRun = 60;

/// In UTF-16 too, whose digits have a byte of zero between them.
bool has_hex_run(std::string_view content) {
  static constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";
  size_t run = 0;
  for (const char c : content) {
    if (c == '\0') continue;
    run = kHexDigits.find(c) == std::string_view::npos ? 0 : run + 1;
    if (run == kHexRun) return true;
  }
  return false;
}

/// Text that an editor saved in another encoding than ASCII.
bool is_encoded_text(std::string_view content) {
  if (content.starts_with("\xEF\xBB\xBF")) return is_text(content.substr(3));
  const bool big = content.starts_with("\xFE\xFF");
  if (!big && !content.starts_with("\xFF\xFE")) return false;
  for (size_t i = 2; i + 1 < content.size(); i += 2) {
    const char high = content[big ? i : i + 1];
    if (high != '\0' || !is_text(content.substr(big ? i + 1 : i, 1))) return false;
  }
  return true;
}

}  // namespace

Result<> check_derived_interval(int64_t interval) {
  if (interval < kMinDerivedInterval || interval > kMaxDerivedInterval || interval % 2 != 0) {
    return fail(fmt::format("the interval must be an even number of seconds from {} to {}",
                            kMinDerivedInterval, kMaxDerivedInterval));
  }
  return {};
}

Result<DerivedSecret> DerivedSecret::parse(std::string_view content) {
  if (looks_like_lines(content)) return parse_lines(content);
  if (has_hex_run(content) || is_encoded_text(content)) return fail(std::string(kNotLines));
  if (content.size() < kSize) {
    return fail(fmt::format("it has {} bytes; a secret has at least {}, or lines `INDEX SECRET`",
                            content.size(), kSize));
  }
  DerivedSecret secret;
  secret.plain_ = true;
  secret.parts_.push_back({.from = 0, .secret = Bytes(content.begin(), content.begin() + kSize)});
  return secret;
}

Result<DerivedSecret> DerivedSecret::parse_lines(std::string_view content) {
  if (content.size() > kMaxFile) return fail("it has too many lines: at most 64 KiB of them");
  DerivedSecret secret;
  for (size_t number = 1; !content.empty(); ++number) {
    const std::string_view line = next_line(content);
    if (line.empty() || line.starts_with('#')) continue;
    auto part = parse_line(line);
    if (!part) return tl::unexpected(std::move(part.error()).in(fmt::format("line {}", number)));
    const auto same = [&](const Part& other) { return other.from == part->from; };
    if (std::ranges::any_of(secret.parts_, same)) {
      return fail(fmt::format("line {}: index {} stands there twice; give each index once", number,
                              part->from));
    }
    secret.parts_.push_back(std::move(*part));
  }
  if (secret.parts_.empty()) return fail("it has comments only; add a line `0 SECRET`");
  std::ranges::sort(secret.parts_, {}, &Part::from);
  return secret;
}

Result<DerivedSecret::Part> DerivedSecret::parse_line(std::string_view line) {
  const std::string_view shape = "give `INDEX SECRET`, a decimal number and 64 hex digits";
  const size_t end = std::min(line.find_first_of(kBlanks), line.size());
  Part part{.from = 0, .secret = Bytes(kSize)};
  const auto [stop, error] = std::from_chars(line.data(), line.data() + end, part.from);
  if (error != std::errc{} || stop != line.data() + end || part.from > INT64_MAX) {
    return fail(fmt::format("the index is no number from 0 to 2^63 - 1; {}", shape));
  }
  const std::string_view hex = trimmed(line.substr(end));
  size_t length = 0;
  const bool whole =
      hex.size() == 2 * kSize && sodium_hex2bin(part.secret.data(), kSize, hex.data(), hex.size(),
                                                nullptr, &length, nullptr) == 0;
  if (!whole || length != kSize) {
    return fail(fmt::format("the secret is not 64 hex digits; {}", shape));
  }
  return part;
}

Result<DerivedSecret> DerivedSecret::load(const std::string& path) {
  auto opened = open_private_file(path, "secret", "replace the secret");
  if (!opened) return tl::unexpected(std::move(opened.error()).in("secret " + path));
  const std::optional<PrivateFile>& file = *opened;
  if (!file) return fail("secret " + path + ": there is no such file; copy it from another node");
  auto content = file->read(kMaxFile + 1);
  if (!content) return tl::unexpected(std::move(content.error()).in("secret " + path));
  auto secret = parse(*content);
  if (!secret) return tl::unexpected(std::move(secret.error()).in("secret " + path));
  return secret;
}

std::optional<Key> DerivedSecret::key(uint64_t index) const {
  const auto after = std::ranges::upper_bound(parts_, index, {}, &Part::from);
  if (after == parts_.begin()) return std::nullopt;
  Key::Bytes bytes{};
  crypto_kdf_blake2b_derive_from_key(bytes.data(), bytes.size(), index, kContext,
                                     std::prev(after)->secret.data());
  for (auto word = bytes.begin(); word != bytes.end(); word += 4) std::reverse(word, word + 4);
  const Key key(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return key;
}

bool DerivedSecret::has_zero() const {
  return std::ranges::any_of(parts_, [](const Part& part) {
    return sodium_is_zero(part.secret.data(), part.secret.size()) != 0;
  });
}

Result<> DerivedSecret::check() const {
  if (!has_zero()) return {};
  return fail("it is all zero, as a damaged file is; copy it from another node");
}

bool operator==(const DerivedSecret& a, const DerivedSecret& b) {
  return std::ranges::equal(a.parts_, b.parts_, [](const auto& x, const auto& y) {
    return x.from == y.from &&
           sodium_memcmp(x.secret.data(), y.secret.data(), DerivedSecret::kSize) == 0;
  });
}

DerivedSlots derived_slots(int64_t interval, int64_t unix_s) {
  const auto index = static_cast<uint64_t>(unix_s / interval);
  const bool first_half = unix_s % interval < interval / 2;
  return {.primary = index, .backup = first_half ? index - 1 : index + 1};
}

Result<Secret> derived_text(const DerivedSecret& secret, int64_t interval, int64_t unix_s) {
  if (auto usable = check_derived_interval(interval); !usable) {
    return tl::unexpected(std::move(usable.error()));
  }
  if (unix_s < 0) return fail("the time is before 1970: keys begin with unix time 0");
  const DerivedSlots slots = derived_slots(interval, unix_s);
  const auto primary = secret.key(slots.primary);
  const auto backup = secret.key(slots.backup);
  if (!primary || !backup) {
    return fail(fmt::format("the secret's lines begin with index {}, and the time needs {}",
                            secret.first_index(), primary ? slots.backup : slots.primary));
  }
  Secret text;
  text.buffer().reserve(2 * Key::kTextSize + 1);
  text.buffer() += primary->text().view();
  text.buffer() += ',';
  text.buffer() += backup->text().view();
  return text;
}

}  // namespace tfo
