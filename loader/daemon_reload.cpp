// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <ctime>
#include <set>
#include <string_view>

#include "loader/daemon.h"
#include "loader/log.h"
#include "loader/monitor/watchlist.h"

namespace tfo {
namespace {

/// How the conditions of a pool begin.
constexpr std::string_view kOfPools[] = {"key_",
                                         "rotation_held",
                                         "clock_",
                                         "no_key",
                                         "secret_replaced",
                                         "store_",
                                         "straggler",
                                         "fork",
                                         "farm_key_missing",
                                         "not_member",
                                         "state_unsaved",
                                         "ring_stale",
                                         "revocation_lost",
                                         "name_taken"};

/// Fields that are fixed while the process lives: the sockets are bound, the lock is taken, and the
/// rights to do it again are gone.
Result<> same_frame(const Config& now, const Config& next) {
  const auto text = [](const std::optional<HttpConfig>& http) {
    if (!http) return std::string("null");
    return http->path.empty() ? fmt::format("{}:{}", http->host, http->port) : http->path;
  };
  std::string changed;
  const auto compare = [&](const char* field, const std::string& a, const std::string& b) {
    if (a != b) changed += (changed.empty() ? "" : ", ") + std::string(field);
  };
  compare("instance", now.instance, next.instance);
  compare("socket", now.socket, next.socket);
  compare("bpffs", now.bpffs, next.bpffs);
  compare("guard.handshakes", std::to_string(now.handshakes), std::to_string(next.handshakes));
  compare("http.listen", text(now.http), text(next.http));
  const auto tls = [](const std::optional<HttpConfig>& http) { return http && http->tls; };
  compare("http.tls", tls(now.http) ? "on" : "", tls(next.http) ? "on" : "");
  if (now.interfaces.empty() != next.interfaces.empty()) compare("interfaces", "", "role");
  if (changed.empty()) return {};
  return fail(changed + " cannot change while tfod runs: restart it instead");
}

}  // namespace

void Daemon::reload() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
             static_cast<unsigned long long>(now.tv_sec) * 1'000'000ULL +
                 static_cast<unsigned long long>(now.tv_nsec) / 1000ULL);
  ++reloads_;
  reload_.reset();
  auto begun = begin_reload();
  if (!begun) return end_reload(tl::unexpected(begun.error()));
  Reload& waits = reload_.emplace(std::move(*begun));
  if (waits.pools.empty()) return go_on_with_reload(reloads_);
  fetch_first_keys(waits);
}

Result<Daemon::Reload> Daemon::begin_reload() {
  auto next = load_config(config_file_);
  if (!next) {
    std::string all;
    for (const ConfigError& error : next.error()) all += (all.empty() ? "" : "\n") + error.text();
    return fail(all);
  }
  if (auto same = same_frame(config_, *next); !same) return tl::unexpected(same.error());
  auto files = namespaces_.open(*next);
  if (!files) return tl::unexpected(files.error());
  auto pools = pools_.new_farm_pools(*next, *files);
  return Reload{.next = std::move(*next), .pools = std::move(pools)};
}

/// One that fails ends the reload: prepare() would ask once more, and hold up the loop meanwhile.
void Daemon::fetch_first_keys(Reload& reload) {
  const uint64_t number = reloads_;
  const auto answered = [this, number] {
    if (!reload_ || --reload_->missing > 0) return;
    loop_->post([this, number] { go_on_with_reload(number); });
  };
  reload.missing = reload.pools.size() + 1;
  for (const rotation::Settings& pool : reload.pools) {
    const auto done = [this, number, pool, answered](const Result<>& got) {
      if (number != reloads_ || !reload_) return;
      if (!got && reload_->fetched) {
        reload_->fetched =
            fail("pools." + pool.pool + ": " + rotation::no_document(pool, got.error().message));
      }
      answered();
    };
    auto fetch = rotation::FirstFetch::start(*loop_, pool, clock_, kFirstKeysReload, done);
    if (fetch) {
      reload.fetches.push_back(std::move(*fetch));
    } else {
      done(tl::unexpected(fetch.error()));
    }
  }
  answered();
}

void Daemon::go_on_with_reload(uint64_t number) {
  if (number != reloads_ || !reload_) return;
  Reload reload = std::move(*reload_);
  reload_.reset();
  reload.fetches.clear();
  end_reload(reload.fetched ? try_reload(std::move(reload.next)) : reload.fetched);
}

void Daemon::end_reload(const Result<>& done) {
  if (done) {
    log_info("{} is in force", config_file_);
  } else {
    // Raised anew, so that every refusal is said.
    conditions_.clear("config_refused", "");
  }
  conditions_.set("config_refused", "", !done,
                  done ? "" : "nothing was changed: " + done.error().message);
  sd_notify(0, "READY=1");
}

/// The namespaces are opened here: the reload may have waited for its keys, and what had a name
/// before that may be another one by now.
Result<> Daemon::try_reload(Config next) {
  SslContext certificates;
  if (next.http && next.http->tls) {
    auto read = read_certificates(*next.http->tls);
    if (!read) return tl::unexpected(read.error());
    certificates = std::move(*read);
  }
  auto opened = namespaces_.open(next);
  if (!opened) return tl::unexpected(opened.error());
  NamespaceWatch::Files files = std::move(*opened);
  if (auto able = check_demote(next, files); !able) return able;
  auto plan = pools_.prepare(next, files, std::chrono::seconds(0));
  if (!plan) return tl::unexpected(plan.error());
  if (auto switched = switch_dataplane(next, *plan); !switched) return switched;
  remember_servers(next, files, [&](const std::string& pool) { return pools_.ring(*plan, pool); });
  if (http_) http_->use(std::move(certificates));
  config_ = std::move(next);
  start_log(config_.log_level);
  configure_alerts();
  clear_pool_conditions(*plan);
  namespaces_.use(config_, std::move(files));
  stores_.clear();  // before their descriptors go
  pools_.commit(std::move(*plan), dataplane_ ? &*dataplane_ : nullptr);
  watch_stores();
  show_interfaces();
  own_addresses_.reset();  // whoever is watched now
  review_monitor();
  housekeeping();
  return {};
}

/// Interfaces first: they are what may be refused (someone else's program), and they are taken all
/// or none. A VIP table that is refused puts the old interfaces back.
Result<> Daemon::switch_dataplane(const Config& next, const PoolSet::Plan& plan) {
  if (!dataplane_) return {};
  if (auto set = dataplane_->set_interfaces(next.interfaces); !set) return set;
  auto set = set_vips(*dataplane_, next, &plan);
  if (set) return {};
  for (const auto& back :
       {dataplane_->set_interfaces(config_.interfaces), set_vips(*dataplane_, config_, nullptr)}) {
    if (!back) log_error("putting back the old configuration: {}", back.error().message);
  }
  return set;
}

Result<> Daemon::set_vips(Dataplane& dataplane, const Config& config, const PoolSet::Plan* plan) {
  // Once for each pool: a second flip of the same ring would wait for the packets in flight.
  std::set<std::string> pools;
  for (const VipConfig& vip : config.vips) pools.insert(vip.pool);
  for (const std::string& pool : pools) {
    const KeyRing* ring = plan != nullptr ? pools_.ring(*plan, pool) : pools_.ring(pool);
    // Keys that are in force stay as they are, with what was known of the servers. Others begin
    // without where there are servers here: only their pool, which starts later, asks them.
    if (ring == nullptr || dataplane.has_keys(pool, *ring)) continue;
    KeyRing first = *ring;
    const bool alone =
        plan != nullptr && plan->specs.contains(pool) && plan->specs.at(pool).servers.empty();
    if (!alone) first.renewal = {};
    if (auto set = dataplane.set_ring(pool, first); !set) return set;
  }
  return dataplane.set_vips(config.vips, watchlist_of(config).room());
}

void Daemon::clear_pool_conditions(const PoolSet::Plan& plan) {
  for (const Condition& condition : conditions_.list()) {
    const bool of_keys = std::ranges::any_of(
        kOfPools, [&](std::string_view prefix) { return condition.id.starts_with(prefix); });
    const std::string pool = condition.subject.substr(0, condition.subject.find('/'));
    if (of_keys && !pools_.keeps(plan, pool)) conditions_.clear(condition.id, condition.subject);
  }
}

}  // namespace tfo
