// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/alert/effects.h"
#include "loader/alert/feeder.h"
#include "loader/alert/keeper.h"
#include "loader/config.h"
#include "loader/control.h"
#include "loader/dataplane/dataplane.h"
#include "loader/event_loop.h"
#include "loader/guard/keeper.h"
#include "loader/keys/clock.h"
#include "loader/monitor/monitor.h"
#include "loader/namespace_watch.h"
#include "loader/observe/conditions.h"
#include "loader/observe/history.h"
#include "loader/observe/http.h"
#include "loader/observe/overview.h"
#include "loader/observe/view.h"
#include "loader/pool_set.h"
#include "loader/result.h"
#include "loader/rotation/etcd_store.h"
#include "loader/rotation/fetch_first.h"
#include "loader/server/before.h"
#include "loader/watch.h"

namespace tfo {

/// A running tfod: one event loop in one thread owns everything. HTTP has threads of its own, which
/// ask the loop for a View; each foreign server namespace has one that the loop waits for.
class Daemon {
 public:
  /// Seconds for which a start and a reload wait for the first keys of pools shared through etcd,
  /// if this node has never had any.
  static constexpr std::chrono::seconds kFirstKeys{60};
  static constexpr std::chrono::seconds kFirstKeysReload{5};

  /// Everything up to a working data plane and keys in force. After an error nothing of a first
  /// start is left attached or pinned, and no server's key was touched. Call harden_process()
  /// before. `clock` outlives the daemon.
  static Result<std::unique_ptr<Daemon>> start(Config config, std::string config_file,
                                               const Clock& clock);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Until SIGTERM, SIGINT or a detach command. What is pinned stays on the wire (but for detach).
  /// Returns the exit code.
  int run();

 private:
  Daemon(Config config, std::string config_file, const Clock& clock);

  // daemon.cpp: start-up
  Result<> open_doors();
  Result<> open_dataplane(const PoolSet::Plan& plan);
  Result<> open_events();
  void open_for_business(PoolSet::Plan plan);

  // daemon_server.cpp: what the server namespaces held before us
  void remember_servers(const Config& config, const NamespaceWatch::Files& files,
                        const std::function<const KeyRing*(const std::string& pool)>& ring);
  std::vector<Restored> restore_servers();
  PoolKeys pool_keys(const std::string& pool);

  // daemon_run.cpp: what happens while it runs
  void housekeeping();
  /// At the whole second `unix_s` of the wall clock; a little early does no harm, since what is due
  /// only then asks to be called again.
  void schedule(int64_t unix_s);
  void remind();
  void links_changed();
  void clock_stepped();
  void show_interfaces();
  void key_condition(const KeyCondition& condition);
  static void condition_changed(const Condition& condition, bool raised);
  void stop(const char* why);

  // daemon_farm.cpp: pools that a farm shares through etcd
  void watch_stores();
  void report_to_farms();
  rotation::NodeReport node_report(const std::string& pool, const KeyRing& ring) const;
  Result<nlohmann::json> farm_command(const std::string& name, KeyPool& pool,
                                      const nlohmann::json& request);
  Result<nlohmann::json> farm_request(rotation::EtcdStore& store, const nlohmann::json& asked);
  /// For good: no reload follows, nor does one that waits go on.
  void close_pools();
  void leave_farms(const std::function<void()>& done);

  // daemon_reload.cpp
  /// The configuration that a reload is about, while its new pools ask etcd for their first keys.
  struct Reload {
    Config next;
    std::vector<rotation::Settings> pools;  ///< the new ones of the store "etcd"
    std::vector<std::unique_ptr<rotation::FirstFetch>> fetches = {};
    size_t missing = 0;
    Result<> fetched = {};  ///< the first error
  };
  void reload();
  Result<Reload> begin_reload();
  void fetch_first_keys(Reload& reload);
  void go_on_with_reload(uint64_t number);
  void end_reload(const Result<>& done);
  Result<> try_reload(Config next);
  Result<> switch_dataplane(const Config& next, const PoolSet::Plan& plan);
  Result<> set_vips(Dataplane& dataplane, const Config& config, const PoolSet::Plan* plan);
  void clear_pool_conditions(const PoolSet::Plan& plan);

  // daemon_policy.cpp
  Result<> check_demote(const Config& config, const NamespaceWatch::Files& files) const;
  /// Of each VIP, in their order. Nothing: the farm that shares its pool was not heard of since
  /// tfod started.
  using HeardOfServers = std::vector<std::optional<ServerFacts>>;
  HeardOfServers heard_of_servers() const;
  rotation::FarmReports farm_reports(const std::string& pool) const;
  void review_policies();
  void show_unsafe_demote(const HeardOfServers& heard);
  void show_disarmed(const Dataplane& dataplane);

  // daemon_guard.cpp
  void review_guard();
  void watch_guard();
  Result<nlohmann::json> guard_command(const std::string& name, const nlohmann::json& request);

  // daemon_alerts.cpp
  void open_alerts();
  void configure_alerts();
  void tick_alerts();
  void show_alert_troubles();
  Result<nlohmann::json> alert_command(const std::string& name,
                                       const nlohmann::json& request) const;

  // daemon_monitor.cpp: SYN-ACKs that answer no SYN
  /// At the start, after a reload, and now and then: addresses come and go.
  void review_monitor();
  Result<> open_monitor();
  void close_monitor();
  Result<> watch_subjects();
  /// What it counted, for the rules. Evidence is asked of it until it is read again.
  std::vector<alert::Sample> read_monitor();
  void show_tracking(const std::vector<MonitorReading>& readings);
  void keep_monitor_alarm();
  /// alert-pcap {id}: the bytes of a pcap file, an array of numbers; null if there are none.
  Result<nlohmann::json> sample_headers(const nlohmann::json& request) const;

  // daemon_page.cpp: the status page
  Overview overview();
  std::vector<HttpServer::Route> page_routes();

  // daemon_control.cpp: commands
  Result<nlohmann::json> command(const std::string& name, nlohmann::json& request);
  Result<nlohmann::json> stats() const;
  Result<nlohmann::json> pool_command(const std::string& name, nlohmann::json& request);
  Result<nlohmann::json> key_match(const KeyPool& pool, const nlohmann::json& request) const;
  Result<nlohmann::json> import_keys(KeyPool& pool, nlohmann::json& request);
  Result<nlohmann::json> detach(const nlohmann::json& request);

  // daemon_view.cpp
  View view(bool with_counters);
  void show_counters(View& view);
  /// For the threads of HTTP; nothing if the loop does not answer in time.
  std::optional<View> ask_view(bool with_counters);
  void start_http();

  Config config_;
  std::string config_file_;
  const Clock& clock_;
  int64_t started_at_;     // unix seconds
  uint64_t started_usec_;  // CLOCK_BOOTTIME
  int64_t reminded_at_;    // boot seconds
  Conditions conditions_;
  std::unique_ptr<EventLoop> loop_;
  NamespaceWatch namespaces_;
  BeforeFile before_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<alert::Keeper> alerts_;  // none while it starts
  alert::Feeder alert_feeder_;
  alert::Effects effects_;
  History history_;
  std::unique_ptr<ControlServer> control_;
  std::optional<Dataplane> dataplane_;  // none: a server without XDP
  GuardKeeper guard_;
  PoolSet pools_;  // its sinks point into dataplane_
  std::unique_ptr<LinkWatch> links_;
  std::unique_ptr<ClockWatch> steps_;
  EventLoop::Source hangup_, terminate_, interrupt_, timer_, alert_timer_, farewell_;
  Fd guard_fd_;                     // stays open as long as it is watched
  EventLoop::Source guard_events_;  // of the data plane's GuardTables with this serial()
  uint64_t guard_serial_ = 0;
  std::unique_ptr<SynAckMonitor> monitor_;  // of dataplane_'s maps with this serial
  Fd monitor_fd_;                           // stays open as long as it is watched
  EventLoop::Source monitor_samples_;
  uint64_t monitor_serial_ = 0;
  uint64_t tracking_gaps_ = 0;                             // that the monitor knows of
  std::optional<std::set<ConfigAddress>> own_addresses_;   // of this node, when watch() was called
  std::vector<EventLoop::Source> stores_;                  // watch pools_.event_fds()
  std::vector<std::unique_ptr<rotation::Agent>> leaving_;  // of closed pools
  size_t to_leave_ = 0;
  std::optional<Reload> reload_;
  uint64_t reloads_ = 0;  ///< another one replaces the one that waits
};

}  // namespace tfo
