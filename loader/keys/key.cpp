// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/key.h"

#include <fmt/format.h>
#include <sodium.h>

#include <cstdlib>

namespace tfo {
namespace {

constexpr int kWords = 4;
constexpr int kWordBytes = 4;
constexpr int kWordDigits = 8;
constexpr char kShape[] =
    "a key is exactly xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx, four groups of eight hex digits";
constexpr char kFingerprintContext[] = "tfoguard key fingerprint";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

/// Eight digits, most significant first, into four bytes, least significant first.
bool parse_word(std::string_view digits, uint8_t* bytes) {
  for (int i = 0; i < kWordBytes; ++i) {
    const int high = hex_digit(digits[2 * i]);
    const int low = hex_digit(digits[2 * i + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    bytes[kWordBytes - 1 - i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

uint64_t little_endian(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = value << 8 | bytes[i];
  }
  return value;
}

void require_sodium() {
  static const int ready = sodium_init();
  if (ready < 0) {
    std::abort();  // no random source: there is nothing safe to go on with
  }
}

}  // namespace

Key::~Key() { sodium_memzero(bytes_.data(), bytes_.size()); }

Result<Key> Key::parse(std::string_view text) {
  if (text.size() != kTextSize) {
    return fail(fmt::format("{}; this text has {} characters", kShape, text.size()));
  }
  Key key;
  for (int word = 0; word < kWords; ++word) {
    const size_t at = static_cast<size_t>(word) * (kWordDigits + 1);
    const bool dash_missing = word + 1 < kWords && text[at + kWordDigits] != '-';
    if (dash_missing || !parse_word(text.substr(at, kWordDigits), &key.bytes_[word * kWordBytes])) {
      return fail(fmt::format("{}; group {} is not", kShape, word + 1));
    }
  }
  return key;
}

Result<std::vector<Key>> Key::parse_list(std::string_view text) {
  std::vector<Key> keys;
  while (true) {
    const size_t comma = text.find(',');
    auto key = parse(text.substr(0, comma));
    if (!key) {
      return tl::unexpected(std::move(key.error()).in(fmt::format("key {}", keys.size() + 1)));
    }
    keys.push_back(*key);
    if (comma == std::string_view::npos) {
      return keys;
    }
    text.remove_prefix(comma + 1);
  }
}

Key Key::random() {
  require_sodium();
  Key key;
  do {
    randombytes_buf(key.bytes_.data(), key.bytes_.size());
  } while (key.is_zero());
  return key;
}

Secret Key::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(kTextSize);
  for (int word = 0; word < kWords; ++word) {
    if (word > 0) {
      text.push_back('-');
    }
    for (int i = kWordBytes - 1; i >= 0; --i) {
      const uint8_t byte = bytes_[word * kWordBytes + i];
      text.push_back(kDigits[byte >> 4]);
      text.push_back(kDigits[byte & 15]);
    }
  }
  return Secret(std::move(text));
}

std::string Key::fingerprint() const {
  require_sodium();
  std::array<uint8_t, crypto_generichash_BYTES_MIN> hash{};
  crypto_generichash(hash.data(), hash.size(), bytes_.data(), bytes_.size(),
                     reinterpret_cast<const uint8_t*>(kFingerprintContext),
                     sizeof(kFingerprintContext) - 1);
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3]);
}

uint64_t Key::k0() const { return little_endian(bytes_.data()); }

uint64_t Key::k1() const { return little_endian(bytes_.data() + 8); }

bool Key::is_zero() const { return sodium_is_zero(bytes_.data(), bytes_.size()) == 1; }

bool operator==(const Key& a, const Key& b) {
  return sodium_memcmp(a.bytes_.data(), b.bytes_.data(), Key::kSize) == 0;
}

}  // namespace tfo
