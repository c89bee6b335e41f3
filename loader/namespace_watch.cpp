// SPDX-License-Identifier: BSD-2-Clause
#include "loader/namespace_watch.h"

#include <fmt/format.h>

#include "loader/log.h"

namespace tfo {
namespace {

// Documentation/networking/ip-sysctl.rst, tcp_fastopen
constexpr unsigned kServerBit = 0x2;
constexpr unsigned kNoCookieBit = 0x200;

constexpr size_t kListenOverflow = 4;  // in kKernelCounterTable

}  // namespace

Result<NamespaceWatch::Files> NamespaceWatch::open(const Config& config) const {
  Files files;
  if (!config.server) return files;
  const bool manage = config.server->manage_sysctl;
  for (const NamespaceConfig& ns : config.server->namespaces) {
    const auto known = files_.find(ns.netns);
    if (known != files_.end() && managed_ == manage && !known->second->gone()) {
      files.insert(*known);
      continue;
    }
    auto opened = NetworkNamespace::open(ns.netns, manage);
    if (!opened) return tl::unexpected(opened.error());
    files.emplace(ns.netns, std::move(*opened));
  }
  return files;
}

void NamespaceWatch::use(const Config& config, Files files) {
  config_ = config.server.value_or(ServerConfig{});
  managed_ = config_.manage_sysctl;
  files_ = std::move(files);
  for (const Condition& condition : conditions_.list()) {
    const bool ours = condition.id == "namespace_gone" || condition.id == "server_bit_failed" ||
                      condition.id == "cookie_not_required" ||
                      condition.id == "kernel_counters_failed";
    if (ours) conditions_.clear(condition.id, condition.subject);
  }
}

void NamespaceWatch::tick(int64_t boot_s,
                          const std::function<bool(const std::string& pool)>& keys_are_in) {
  for (const NamespaceConfig& config : config_.namespaces) {
    NetworkNamespace& files = *files_.at(config.netns);
    const bool gone = files.gone();
    conditions_.set("namespace_gone", files.label(), gone,
                    config.netns +
                        " was deleted; restart tfod once it is back, or remove it from "
                        "server.namespaces");
    if (gone) continue;
    const bool due = config_.manage_sysctl && boot_s >= config_.enable_delay.count();
    keep_server_bit(config, files, due && keys_are_in(config.pool));
    watch_overflow(config, files);
  }
}

void NamespaceWatch::keep_server_bit(const NamespaceConfig&, const NetworkNamespace& files,
                                     bool due) {
  const auto bits = files.fastopen_bits();
  Result<> result;
  if (!bits) {
    result = tl::unexpected(bits.error());
  } else if (due && (*bits & kServerBit) == 0) {
    result = files.set_fastopen_bits(*bits | kServerBit);
    if (result) {
      log_info("namespace {}: tcp_fastopen {:#x} -> {:#x}", files.label(), *bits,
               *bits | kServerBit);
    }
  }
  conditions_.set("server_bit_failed", files.label(), !result,
                  result ? "" : result.error().message);
  conditions_.set("cookie_not_required", files.label(), bits && (*bits & kNoCookieBit) != 0,
                  "tcp_fastopen has bit 0x200: clear it unless this network is closed");
}

void NamespaceWatch::watch_overflow(const NamespaceConfig& config, const NetworkNamespace& files) {
  const auto mib = files.kernel_counters();
  conditions_.set("kernel_counters_failed", files.label(), !mib, mib ? "" : mib.error().message);
  const std::optional<uint64_t> count = mib ? (*mib)[kListenOverflow] : std::nullopt;
  if (!count) return;
  const uint64_t now = *count;
  const auto [last, first] = overflows_.try_emplace(config.netns, now);
  if (!first && now > last->second) {
    log_warning("namespace {}: a listener's Fast Open queue was full for {} SYNs; raise its qlen",
                files.label(), now - last->second);
  }
  last->second = now;
}

std::vector<NamespaceView> NamespaceWatch::view() const {
  std::vector<NamespaceView> all;
  for (const NamespaceConfig& config : config_.namespaces) {
    NetworkNamespace& files = *files_.at(config.netns);
    NamespaceView view{.name = files.label(), .pool = config.pool, .mib = std::nullopt};
    if (!files.gone()) {
      if (auto mib = files.kernel_counters()) view.mib = *mib;
    }
    all.push_back(std::move(view));
  }
  return all;
}

}  // namespace tfo
