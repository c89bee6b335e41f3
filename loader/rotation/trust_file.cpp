// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/trust_file.h"

#include <nlohmann/json.hpp>

#include "loader/keys/private_file.h"

namespace tfo::rotation {
namespace {

using nlohmann::json;

constexpr size_t kMaxTrust = 4096;

}  // namespace

std::optional<int64_t> TrustFile::load(const Moment& now) const {
  const auto read = read_private_file(path_, kMaxTrust, "remove it");
  const std::optional<WipedString> text = read.value_or(std::nullopt);
  if (!text) return std::nullopt;
  const json object = json::parse(text->begin(), text->end(), nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto boot_id = object.find("boot_id");
  const auto until = object.find("until_boot_s");
  if (boot_id == object.end() || *boot_id != now.boot_id) return std::nullopt;
  if (until == object.end() || !until->is_number_integer()) return std::nullopt;
  return now.unix_s + (until->get<int64_t>() - now.boot_s);
}

Result<> TrustFile::save(const Moment& now, int64_t until) const {
  const json object = {{"boot_id", now.boot_id}, {"until_boot_s", now.boot_s + until - now.unix_s}};
  return write_private_file(path_, object.dump() + "\n");
}

}  // namespace tfo::rotation
