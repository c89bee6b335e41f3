// SPDX-License-Identifier: BSD-2-Clause
// The status page, and what it and `tfoctl top` ask for.
#include <unistd.h>

#include <array>

#include "loader/ask_loop.h"
#include "loader/daemon.h"
#include "loader/observe/overview.h"
#include "loader/observe/report.h"
#include "loader/page/page.h"

namespace tfo {
namespace {

constexpr const char* kJson = "application/json";
constexpr size_t kRecent = 5;  // points that come with each overview

std::string host_name() {
  std::array<char, 256> host{};
  return gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "";
}

/// Text that is not UTF-8 is shown with replacement characters instead of failing.
std::string text_of(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

Overview Daemon::overview() {
  Overview out;
  out.view = view(true);
  out.node = config_.farm ? config_.farm->node : host_name();
  for (const VipConfig& vip : config_.vips) {
    out.vips.push_back({vip.name, vip.pool, vip.mode, vip.renew});
  }
  out.alerts = nlohmann::json::object();
  if (alerts_) {
    auto alerts = alerts_->command("alert-list", {});
    if (alerts) out.alerts = std::move(*alerts);
  }
  if (dataplane_) {
    auto guarded = guard_.command("guard-list", {}, *dataplane_, config_);
    if (guarded) out.guarded = std::move(*guarded);
  }
  out.farms = nlohmann::json::object();
  for (const std::string& name : pools_.names()) {
    KeyPool* pool = pools_.find(name);
    if (pool == nullptr || pool->farm() == nullptr) continue;
    auto status = farm_command("farm-status", *pool, {});
    if (status) out.farms[name] = std::move(*status);
  }
  out.minute = history_.recent(60);
  out.recent = history_.json(kRecent);
  return out;
}

std::vector<HttpServer::Route> Daemon::page_routes() {
  const auto overview_text = [this]() -> std::optional<std::string> {
    const auto now = ask_loop(*loop_, [this] { return overview(); });
    return now ? std::optional(text_of(overview_json(*now))) : std::nullopt;
  };
  const auto status_text = [this]() -> std::optional<std::string> {
    const auto now = ask_loop(*loop_, [this] { return view(false); });
    return now ? std::optional(text_of(status_json(*now))) : std::nullopt;
  };
  const auto history_text = [this]() -> std::optional<std::string> {
    const auto now = ask_loop(*loop_, [this] { return history_.json(); });
    return now ? std::optional(text_of(*now)) : std::nullopt;
  };
  std::vector<HttpServer::Route> routes = {
      {.path = "/api/overview", .type = kJson, .page = overview_text, .browser = true},
      {.path = "/api/status", .type = kJson, .page = status_text, .browser = true},
      {.path = "/api/history", .type = kJson, .page = history_text, .browser = true}};
  for (const PageFile& file : page_files()) {
    routes.push_back({.path = std::string(file.path),
                      .type = file.type,
                      .page = [&file] { return std::optional(unpacked(file)); },
                      .gzip = file.gzip,
                      .browser = true});
  }
  return routes;
}

}  // namespace tfo
