// SPDX-License-Identifier: BSD-2-Clause
#include "tools/keytext.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace tfo {

namespace {

constexpr size_t kMaxKeyFile = 65536;

std::string_view trimmed(std::string_view text) {
  constexpr const char* kBlank = " \t\r";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// KEYTEXT[,KEYTEXT...]; `where` names the place in messages.
Result<> parse_list(std::string_view text, const std::string& where, std::vector<Key>& keys) {
  auto parsed = Key::parse_list(text);
  if (!parsed) return tl::unexpected<Error>(std::move(parsed.error()).in(where));
  keys.insert(keys.end(), parsed->begin(), parsed->end());
  return {};
}

Result<Secret> read_limited(std::istream& in, const std::string& name) {
  Secret text;
  text.buffer().reserve(kMaxKeyFile + 1);  // never moved, so that wiping it wipes all
  char c = 0;
  while (text.view().size() <= kMaxKeyFile && in.get(c)) text.buffer().push_back(c);
  if (text.view().size() > kMaxKeyFile || in.bad()) {
    return fail(fmt::format("{}: not a file of keys (longer than {} bytes, or unreadable)", name,
                            kMaxKeyFile));
  }
  return text;
}

Result<Secret> read_file(Context& context, const std::string& file) {
  if (file == "-") return read_limited(context.in, "standard input");
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail_errno(fmt::format("--key-file {}", file));
  return read_limited(in, file);
}

Result<> parse_file(std::string_view text, const std::string& name, std::vector<Key>& keys) {
  for (size_t line = 1; !text.empty(); line++) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view content = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.empty() || content[0] == '#') continue;
    if (auto read = parse_list(content, fmt::format("{}, line {}", name, line), keys); !read) {
      return read;
    }
  }
  if (keys.empty()) return fail(fmt::format("{}: no key in it", name));
  return {};
}

}  // namespace

Result<std::vector<Key>> read_keys(Context& context, const KeySource& source, size_t most) {
  std::vector<Key> keys;
  Result<> read;
  if (source.text.empty() == source.file.empty()) {
    return fail("give the key with either --key KEYTEXT or --key-file FILE (- is standard input)");
  }
  if (source.file.empty()) {
    read = parse_list(source.text, "--key", keys);
  } else {
    auto text = read_file(context, source.file);
    if (!text) return tl::unexpected<Error>(text.error());
    read = parse_file(text->view(), source.file == "-" ? "standard input" : source.file, keys);
  }
  if (!read) return tl::unexpected<Error>(read.error());
  if (keys.size() > most) {
    return fail(fmt::format("{} keys given, at most {} wanted", keys.size(), most));
  }
  return keys;
}

}  // namespace tfo
