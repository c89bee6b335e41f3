// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/alert_file.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "loader/keys/private_file.h"

namespace tfo::alert {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "tfoguard alerts";
constexpr int kVersion = 1;
constexpr size_t kMaxSize = size_t{4} << 20;

Result<std::vector<Alert>> decode(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail("it is truncated or damaged (not JSON)");
  if (document.value("format", json()) != kFormat) return fail("it holds no alerts");
  if (document.value("version", json()) != kVersion) return fail("another release wrote it");
  const auto list = document.find("alerts");
  if (list == document.end() || !list->is_array()) return fail("it has no \"alerts\"");
  std::vector<Alert> alerts;
  for (const json& one : *list) {
    auto alert = alert_from_json(one);
    if (!alert) return tl::unexpected(alert.error());
    alerts.push_back(std::move(*alert));
  }
  return alerts;
}

}  // namespace

Result<std::vector<Alert>> AlertFile::load() const {
  auto text = read_private_file(path_, kMaxSize, "remove it");
  if (!text) return tl::unexpected(std::move(text.error()));
  const std::optional<WipedString>& content = *text;
  if (!content) return std::vector<Alert>();
  auto alerts = decode(*content);
  if (!alerts) return tl::unexpected(std::move(alerts.error()).in(path_));
  return alerts;
}

Result<> AlertFile::save(const std::vector<Alert>& alerts) const {
  json list = json::array();
  for (const Alert& alert : alerts) list.push_back(alert_json(alert));
  const json document = {{"format", kFormat}, {"version", kVersion}, {"alerts", std::move(list)}};
  return write_private_file(path_,
                            document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace tfo::alert
