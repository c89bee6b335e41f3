// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_key_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include "loader/keys/private_file.h"

namespace tfo {

using rotation::FarmKey;

namespace {

constexpr size_t kMaxFile = size_t{64} * 1024;
constexpr const char* kField = "farm.key_file";
constexpr const char* kLeaked = "give the farm another (tfoctl farm new-line, farm rekey)";

/// The whole text, or nothing if there is no such file.
Result<std::optional<WipedString>> read_text(const std::string& path) {
  const auto opened = open_private_file(path, kField, kLeaked);
  if (!opened) return fail(path + ": " + opened.error().message);
  const std::optional<PrivateFile>& file = *opened;
  if (!file) return std::optional<WipedString>();
  auto text = file->read(kMaxFile + 1);
  if (!text) return fail(path + ": " + text.error().message);
  if (text->size() > kMaxFile) return fail(path + ": it is far too big for a farm key file");
  return std::optional<WipedString>(std::move(*text));
}

Result<FarmKey> parse(const std::string& path, std::string_view text) {
  auto key = FarmKey::parse(text);
  if (!key) return fail(path + ": " + key.error().message);
  return key;
}

Result<FarmKey> write_and_read(const std::string& path, std::string_view text) {
  if (auto written = write_private_file(path, text); !written) {
    return tl::unexpected<Error>(written.error());
  }
  const auto read = read_text(path);
  if (!read) return tl::unexpected<Error>(read.error());
  const std::optional<WipedString>& back = *read;
  return back ? parse(path, *back) : fail(path + ": it is gone again");
}

/// A new line at the end of `text`.
void append_line(WipedString& text, uint32_t number) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  const Secret line = FarmKey::new_line(number);
  text.append(line.view());
  if (text.back() != '\n') text += '\n';
}

}  // namespace

Result<std::optional<FarmKey>> read_farm_key(const std::string& path) {
  const auto read = read_text(path);
  if (!read) return tl::unexpected<Error>(read.error());
  const std::optional<WipedString>& text = *read;
  if (!text) return std::optional<FarmKey>();
  auto key = parse(path, *text);
  if (!key) return tl::unexpected<Error>(key.error());
  return std::optional<FarmKey>(std::move(*key));
}

Result<FarmKey> make_farm_key(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return fail(path + " is there already");
  WipedString text;
  append_line(text, 1);
  return write_and_read(path, text);
}

Result<uint32_t> append_farm_key(const std::string& path) {
  auto read = read_text(path);
  if (!read) return tl::unexpected<Error>(read.error());
  std::optional<WipedString>& text = *read;
  if (!text) {
    return fail(
        fmt::format("there is no {}; `tfoctl farm init` makes the first one, the other "
                    "nodes have copies of it",
                    path));
  }
  const auto key = parse(path, *text);
  if (!key) return tl::unexpected<Error>(key.error());
  const auto numbers = key->numbers();
  if (numbers.size() >= FarmKey::kMaxLines) {
    return fail(
        fmt::format("{} has {} lines already, which is the most; once `tfoctl farm rekey` "
                    "was complete for all pools, take line {} out of it",
                    path, numbers.size(), numbers.front()));
  }
  const uint32_t number = key->newest() + 1;
  append_line(*text, number);
  const auto written = write_and_read(path, *text);
  if (!written) return tl::unexpected<Error>(written.error());
  return number;
}

}  // namespace tfo
