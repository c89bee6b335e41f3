// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/redact.h"

#include <algorithm>
#include <cctype>

namespace tfo {
namespace {

constexpr size_t kInARow = 16;    // hex digits: half of a key
constexpr size_t kInGroups = 20;  // hex digits: the most of three of a key's four groups
constexpr size_t kInBase64 = 21;  // characters: a key's 22, one of them lost
constexpr std::string_view kBase64Marks = "+/-_";  // in both alphabets of RFC 4648
constexpr size_t kKeyGroup = 7;  // characters: a key's group of eight, one of them lost
constexpr size_t kGap = 2;       // characters between two groups, one of them too many
constexpr std::string_view kUuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
constexpr char kSeparators[] = "- :_./";  // no comma: it stands between fingerprints
constexpr size_t kNear = 6;  // most characters between a key's halves: `": "`, `', '`, `=`

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

/// A run of letters and digits.
struct Group {
  size_t begin = 0;
  size_t end = 0;
  size_t hex = 0;      // how many hex digits are in it
  size_t longest = 0;  // most of them in a row

  size_t size() const { return end - begin; }
  bool hexlike() const { return 2 * hex >= size() && hex > 0; }
  bool like_a_keys() const { return size() >= kKeyGroup && hex + 1 >= size(); }
};

Group group_at(std::string_view text, size_t begin) {
  Group group{.begin = begin, .end = begin};
  size_t row = 0;
  for (; group.end < text.size() && is_word(text[group.end]); group.end++) {
    const bool hex = is_hex(text[group.end]);
    group.hex += hex ? 1 : 0;
    row = hex ? row + 1 : 0;
    group.longest = std::max(group.longest, row);
  }
  return group;
}

/// Does a UUID (RFC 9562 section 4) begin here? Load balancers get such names; no key has its
/// shape.
bool is_uuid(std::string_view text, size_t at) {
  if (text.size() < at + kUuid.size()) return false;
  for (size_t i = 0; i < kUuid.size(); i++) {
    if (kUuid[i] == '-' ? text[at + i] != '-' : !is_hex(text[at + i])) return false;
  }
  return text.size() == at + kUuid.size() || !is_word(text[at + kUuid.size()]);
}

/// The group that goes on the same text after `left`; empty if none does.
Group next_group(std::string_view text, const Group& left) {
  size_t at = left.end;
  while (at < text.size() && at - left.end < kGap && !is_word(text[at])) at++;
  if (is_uuid(text, at)) return {};
  const Group right = group_at(text, at);
  const std::string_view gap = text.substr(left.end, at - left.end);
  if (gap.find_first_not_of(kSeparators) != std::string_view::npos) return {};
  const bool hyphen = gap.find('-') != std::string_view::npos;
  const bool joined =
      hyphen ? left.hexlike() && right.hexlike() : left.like_a_keys() && right.like_a_keys();
  return joined ? right : Group{};
}

/// A generation's id (id_text()), or a farm's request: shown everywhere, and no secret. A half of a
/// key that stands alone looks the same, and leaves 64 bits to be guessed: two that stand together
/// may be a whole key.
bool is_id(std::string_view text, const Group& group) {
  return group.size() == kInARow && group.longest == kInARow &&
         std::none_of(text.begin() + static_cast<std::ptrdiff_t>(group.begin),
                      text.begin() + static_cast<std::ptrdiff_t>(group.end),
                      [](unsigned char c) { return std::isupper(c) != 0; });
}

/// The half of a key that stands by another one, with anything but words between; empty if none
/// does. Both look like ids.
Group other_half(std::string_view text, const Group& left) {
  size_t at = left.end;
  while (at < text.size() && at - left.end <= kNear && !is_word(text[at])) at++;
  if (at - left.end > kNear || is_uuid(text, at)) return {};
  const Group right = group_at(text, at);
  return is_id(text, right) ? right : Group{};
}

/// End of the key-like text that begins at `begin`; `begin` if there is none.
size_t key_end(std::string_view text, size_t begin) {
  if (is_uuid(text, begin)) return begin;
  Group last = group_at(text, begin);
  if (is_id(text, last) && next_group(text, last).size() == 0) {
    size_t end = begin;
    for (Group half = other_half(text, last); half.size() > 0; half = other_half(text, half)) {
      end = half.end;
    }
    return end;
  }
  bool key = last.longest >= kInARow;
  size_t hex = last.hexlike() ? last.hex : 0;
  for (Group next = next_group(text, last); next.size() > 0; next = next_group(text, last)) {
    key = key || next.longest >= kInARow;
    hex += next.hex;
    last = next;
  }
  return key || hex >= kInGroups ? last.end : begin;
}

bool is_base64(char c) { return is_word(c) || kBase64Marks.find(c) != std::string_view::npos; }

/// End of the padded base64 text that begins at `begin`; `begin` if there is none. Unpadded it
/// could be a path.
size_t base64_end(std::string_view text, size_t begin) {
  if (begin > 0 && is_base64(text[begin - 1])) return begin;
  size_t end = begin;
  while (end < text.size() && is_base64(text[end])) end++;
  if (end - begin < kInBase64 || end == text.size() || text[end] != '=') return begin;
  while (end < text.size() && text[end] == '=') end++;
  return end < text.size() && is_base64(text[end]) ? begin : end;
}

}  // namespace

std::string without_keys(std::string_view text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    size_t end = base64_end(text, at);
    if (end == at && is_word(text[at])) end = key_end(text, at);
    if (end > at) {
      clean += "<key>";
      at = end;
      continue;
    }
    const size_t next =
        is_uuid(text, at) ? at + kUuid.size() : std::max(group_at(text, at).end, at + 1);
    clean += text.substr(at, next - at);
    at = next;
  }
  return clean;
}

bool looks_like_key(std::string_view text) { return without_keys(text) != text; }

}  // namespace tfo
