// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/state_file.h"

#include <nlohmann/json.hpp>

#include "loader/etcd/json.h"
#include "loader/keys/private_file.h"
#include "loader/rotation/object_reader.h"

namespace tfo::rotation {
namespace {

constexpr char kFormat[] = "tfoguard rotation";
constexpr int64_t kStateVersion = 1;
constexpr size_t kMaxState = size_t{4} << 20;
constexpr char kLeaked[] =
    "remove it, and run `tfoctl farm rekey` if others can also have read the farm key";
constexpr char kRemedy[] =
    "; restore it from a backup, or move it away: this node then takes the farm's document anew, "
    "and until then knows nothing of what was revoked";

Result<Remembered> decode(std::string_view text) {
  const auto json = etcd::parse_object(text);
  if (!json) return fail("it is truncated or damaged (not JSON)");
  ObjectReader<nlohmann::json> reader(*json, "");
  if (reader.text("format") != kFormat) reader.wrong("format", "is not a farm-wide rotation's");
  if (reader.number<int64_t>("version") != kStateVersion) {
    reader.wrong("version", "is not 1: another release wrote it");
  }
  Remembered remembered;
  remembered.sealed = reader.text("sealed");
  remembered.min_key = reader.number<uint32_t>("min_key");
  remembered.newest = reader.number<int64_t>("newest");
  remembered.joined = reader.boolean("joined");
  // Absent in the files of earlier releases.
  if (json->contains("lost")) {
    for (const nlohmann::json& one : reader.array("lost")) {
      const auto id = id_from(ObjectReader<nlohmann::json>::text_view(one));
      if (!id) reader.wrong("lost", "is not a list of ids of 16 hex digits");
      remembered.lost.insert(id.value_or(0));
    }
  }
  if (auto read = reader.finish(); !read) return tl::unexpected(std::move(read.error()));
  return remembered;
}

}  // namespace

Result<std::optional<Remembered>> StateFile::load() const {
  auto text = read_private_file(path_, kMaxState, kLeaked);
  if (!text) return tl::unexpected(std::move(text.error()));
  const std::optional<WipedString>& content = *text;
  if (!content) return std::optional<Remembered>();
  auto remembered = decode(*content);
  if (!remembered) return fail(path_ + ": " + remembered.error().message + kRemedy);
  return std::optional<Remembered>(std::move(*remembered));
}

Result<> StateFile::save(const Remembered& remembered) const {
  nlohmann::json lost = nlohmann::json::array();
  for (const uint64_t id : remembered.lost) lost.push_back(id_text(id));
  const nlohmann::json json = {{"format", kFormat},           {"version", kStateVersion},
                               {"sealed", remembered.sealed}, {"min_key", remembered.min_key},
                               {"newest", remembered.newest}, {"joined", remembered.joined},
                               {"lost", std::move(lost)}};
  return write_private_file(path_, json.dump() + "\n");
}

}  // namespace tfo::rotation
