// SPDX-License-Identifier: BSD-2-Clause
#include "loader/namespace_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "loader/log.h"
#include "loader/server/serving.h"

namespace tfo {
namespace {

constexpr size_t kListenOverflow = 4;  // in kKernelCounterTable
constexpr size_t kDoCookies = 10;      // there, too

/// net.core.somaxconn of a kernel whose administrator did not lower it (since 5.4).
constexpr uint32_t kUsualSomaxconn = 4096;

/// Every condition that is raised here.
constexpr std::array<std::string_view, 14> kOurs = {
    "namespace_gone",   "server_bit_failed", "cookie_not_required", "kernel_counters_failed",
    "server_bit_drift", "server_bit_fight",  "server_bit_repaired", "server_off",
    "every_listener",   "listeners_failed",  "listener_own_key",    "backlog_clamped",
    "syn_cookies",      "synack_retries"};

/// Listeners that may do Fast Open and whose backlog is all that a low somaxconn allows.
std::string clamped(const ListenerReport& report) {
  if (report.somaxconn == 0 || report.somaxconn >= kUsualSomaxconn) return {};
  std::string names;
  size_t count = 0;
  for (const Listener& one : report.listeners) {
    if (!one.may_fast_open() || one.backlog != report.somaxconn) continue;
    if (++count <= 4) names += (names.empty() ? "" : ", ") + listener_text(one);
  }
  if (count == 0) return {};
  return fmt::format(
      "{}{}: the backlog is net.core.somaxconn, {}; about a tenth of it in half-open connections a "
      "second switches Fast Open off for everyone: raise somaxconn, then restart the service",
      names, count > 4 ? fmt::format(" and {} more", count - 4) : "", report.somaxconn);
}

}  // namespace

Result<NamespaceWatch::Files> NamespaceWatch::open(const Config& config) {
  Files files;
  if (!config.server) return files;
  if (!tried_iterator_) {
    tried_iterator_ = true;
    auto loaded = ListenerIterator::load();
    if (loaded) iterator_ = std::move(*loaded);
    if (!loaded) {
      log_info("listeners' Fast Open queues and own keys cannot be seen: {}",
               loaded.error().message);
    }
  }
  const bool manage = config.server->manage_sysctl;
  for (const NamespaceConfig& ns : config.server->namespaces) {
    const auto known = files_.find(ns.netns);
    if (known != files_.end() && managed_ == manage && !known->second->gone()) {
      files.insert(*known);
      continue;
    }
    auto opened = NetworkNamespace::open(ns.netns, manage, iterator_);
    if (!opened) return tl::unexpected(opened.error());
    files.emplace(ns.netns, std::move(*opened));
  }
  return files;
}

void NamespaceWatch::use(const Config& config, Files files) {
  config_ = config.server.value_or(ServerConfig{});
  managed_ = config_.manage_sysctl;
  std::erase_if(known_, [&](const auto& one) {
    const auto at = files.find(one.first);
    return at == files.end() || at->second != files_[one.first];
  });
  files_ = std::move(files);
  vips_ = config.vips;
  for (const NamespaceConfig& one : config_.namespaces) count_vips_of(one);
  for (const Condition& condition : conditions_.list()) {
    if (std::find(kOurs.begin(), kOurs.end(), condition.id) != kOurs.end()) {
      conditions_.clear(condition.id, condition.subject);
    }
  }
}

void NamespaceWatch::tick(const Moment& now, const AskPool& ask) {
  for (const NamespaceConfig& config : config_.namespaces) {
    NetworkNamespace& files = *files_.at(config.netns);
    const bool gone = files.gone();
    conditions_.set("namespace_gone", files.label(), gone,
                    config.netns +
                        " was deleted; restart tfod once it is back, or remove it from "
                        "server.namespaces");
    if (gone) continue;
    Known& known = known_[config.netns];
    const PoolKeys keys = ask(config.pool);
    if (managed_) keep_server_bit(files, known, now, keys);
    watch_bits(files);
    watch_retries(files);
    watch_queues(files, known, now);
  }
  list_some(now, ask);
}

/// Goes on where the last tick stopped, so that with many namespaces all have their turn.
void NamespaceWatch::list_some(const Moment& now, const AskPool& ask) {
  const std::vector<NamespaceConfig>& all = config_.namespaces;
  size_t listed = 0;
  for (size_t i = 0; i < all.size() && listed < kListsPerTick; ++i) {
    const NamespaceConfig& config = all[(next_list_ + i) % all.size()];
    NetworkNamespace& files = *files_.at(config.netns);
    const auto known = known_.find(config.netns);
    if (known == known_.end() || now.boot_s - known->second.listed_at < kListeners) continue;
    if (files.gone()) continue;
    known->second.listed_at = now.boot_s;
    watch_listeners(files, known->second, ask(config.pool));
    count_vips_of(config);
    ++listed;
  }
  if (!all.empty()) next_list_ = (next_list_ + listed) % all.size();
}

void NamespaceWatch::keep_server_bit(const NetworkNamespace& files, Known& known, const Moment& now,
                                     PoolKeys keys) {
  const bool delay_over = now.boot_s >= config_.enable_delay.count();
  if (keys.may_open) unopened_.erase(files.path());
  if (unopened_.contains(files.path())) keys.keeps_bit = false;
  const ServerBit wanted =
      wanted_server_bit(keys, now, delay_over, [&files] { return files.keys(); });
  const ServerBitKeeper::Sysctl sysctl{
      .label = files.label(),
      .read = [&files] { return files.fastopen_bits(); },
      .write = [&files](unsigned bits) { return files.set_fastopen_bits(bits); }};
  known.bit.keep(sysctl, wanted, config_.on_drift, now, conditions_);
}

void NamespaceWatch::watch_bits(const NetworkNamespace& files) {
  const unsigned bits = files.fastopen_bits().value_or(0);
  conditions_.set("cookie_not_required", files.label(), (bits & kFastopenNoCookie) != 0,
                  "tcp_fastopen has bit 0x200: clear it unless this network is closed");
  conditions_.set("every_listener", files.label(), (bits & kFastopenEveryListener) != 0,
                  "tcp_fastopen has bit 0x400: every program's listener takes Fast Open, also of "
                  "those that cannot bear data twice; a listener that starts while bit 0x2 is off "
                  "never does");
}

void NamespaceWatch::watch_retries(const NetworkNamespace& files) {
  const unsigned retries = files.synack_retries().value_or(0);
  conditions_.set(
      "synack_retries", files.label(), retries > kUsualRetries,
      fmt::format("tcp_synack_retries is {}: a silent client holds its place in a Fast "
                  "Open queue for {} s, and the guard reckons with {} s, so queues may "
                  "overflow unseen: set net.ipv4.tcp_synack_retries to {} or less",
                  retries, held_seconds(retries), held_seconds(kUsualRetries), kUsualRetries));
}

void NamespaceWatch::watch_listeners(const NetworkNamespace& files, Known& known,
                                     const PoolKeys& keys) {
  known.listeners = files.listeners();
  const ListenerReport& report = known.listeners;
  conditions_.set("listeners_failed", files.label(), !report.error.empty(), report.error);
  const std::string evidence = clamped(report);
  conditions_.set("backlog_clamped", files.label(), !evidence.empty(), evidence);
  if (keys.ring != nullptr) watch_own_keys(known, *keys.ring);
}

void NamespaceWatch::count_vips_of(const NamespaceConfig& config) {
  const auto known = known_.find(config.netns);
  if (known != known_.end()) count_vips(known->second.listeners, vips_, config.pool);
}

/// One condition for each namespace, whose evidence counts: listeners come and go.
void NamespaceWatch::watch_own_keys(const Known& known, const KeyRing& ring) {
  std::string evidence;
  size_t count = 0;
  for (const Listener& one : known.listeners.listeners) {
    const std::string wrong = own_key_evidence(one, ring);
    if (wrong.empty()) continue;
    if (++count == 1) evidence = fmt::format("{}: {}", listener_text(one), wrong);
  }
  if (count > 1) evidence += fmt::format(" (and {} more listeners)", count - 1);
  conditions_.set("listener_own_key", known.listeners.netns, count > 0, evidence);
}

void NamespaceWatch::watch_queues(const NetworkNamespace& files, Known& known, const Moment& now) {
  const auto mib = files.kernel_counters();
  conditions_.set("kernel_counters_failed", files.label(), !mib, mib ? "" : mib.error().message);
  if (mib) watch_cookies(files, known, now, (*mib)[kDoCookies]);
  const std::optional<uint64_t> count = mib ? (*mib)[kListenOverflow] : std::nullopt;
  if (!count) return;
  if (known.overflow && *count > *known.overflow) {
    log_warning("namespace {}: a listener's Fast Open queue was full for {} SYNs; raise its qlen",
                files.label(), *count - *known.overflow);
  }
  known.overflow = count;
}

void NamespaceWatch::watch_cookies(const NetworkNamespace& files, Known& known, const Moment& now,
                                   std::optional<uint64_t> count) {
  if (count && known.cookies && *count > *known.cookies) {
    known.cookies_until = now.boot_s + kCookiesOver;
  }
  known.cookies = count;
  conditions_.set("syn_cookies", files.label(), now.boot_s < known.cookies_until,
                  "a listener's SYN queue is full of half-open connections, so SYNs are answered "
                  "with SYN cookies and nobody gets Fast Open: a flood, or too small a backlog; "
                  "\"protect_syn_queue\": \"retry\" keeps a flood away from the servers");
}

std::vector<const ListenerReport*> NamespaceWatch::listeners(const std::string& pool) const {
  std::vector<const ListenerReport*> all;
  for (const NamespaceConfig& config : config_.namespaces) {
    const auto known = known_.find(config.netns);
    if (config.pool == pool && known != known_.end() && !files_.at(config.netns)->gone()) {
      all.push_back(&known->second.listeners);
    }
  }
  return all;
}

std::optional<uint64_t> NamespaceWatch::overflow(const std::string& pool) const {
  std::optional<uint64_t> sum;
  for (const NamespaceConfig& config : config_.namespaces) {
    const auto known = known_.find(config.netns);
    if (config.pool != pool || known == known_.end()) continue;
    if (const auto count = known->second.overflow) sum = sum.value_or(0) + *count;
  }
  return sum;
}

std::vector<NamespaceView> NamespaceWatch::view() const {
  std::vector<NamespaceView> all;
  for (const NamespaceConfig& config : config_.namespaces) {
    NetworkNamespace& files = *files_.at(config.netns);
    NamespaceView view{.name = files.label(),
                       .pool = config.pool,
                       .server_bit = "unmanaged",
                       .server_bit_repairs = 0,
                       .listeners = {},
                       .mib = std::nullopt};
    if (const auto known = known_.find(config.netns); known != known_.end()) {
      if (managed_) view.server_bit = to_string(known->second.bit.wanted());
      view.server_bit_repairs = known->second.bit.repairs();
      view.listeners = known->second.listeners;
    }
    if (!files.gone()) {
      view.listeners.fastopen_bits = files.fastopen_bits().value_or(0);
      if (auto mib = files.kernel_counters()) view.mib = *mib;
      view.resets_out = files.resets_out();
    }
    all.push_back(std::move(view));
  }
  return all;
}

}  // namespace tfo
