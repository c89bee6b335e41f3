// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/alert/alert_file.h"
#include "loader/alert/alertmanager.h"
#include "loader/alert/command_hook.h"
#include "loader/alert/engine.h"
#include "loader/alert/rule.h"
#include "loader/alert/sink.h"
#include "loader/alert/view.h"
#include "loader/event_loop.h"
#include "loader/result.h"

namespace tfo::alert {

/// The engine with all who are told, the file that outlives a restart, and what tfoctl asks.
class Keeper {
 public:
  static constexpr size_t kMostChanges = 256;                     // that can be followed
  static constexpr std::chrono::milliseconds kSaveEvery{30'000};  // at least, while any is raised

  /// `instance` names this node to Alertmanager; `run` is another number for each start of tfod.
  Keeper(EventLoop& loop, std::string instance, const std::string& file, int64_t run);
  /// What is raised is saved as it stands.
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  /// At start and after a reload. What cannot be opened is an error; the rest is in force all the
  /// same.
  Result<> configure(const Config& config);

  /// Takes over what the file has. An error is a reason to tell, not to stop.
  Result<> restore();

  void tick(Instant now, const std::vector<Sample>& samples, const std::vector<State>& states);

  /// Why the file cannot be written; empty if it can.
  const std::string& unsaved() const { return unsaved_; }
  std::vector<Alert> active() const { return engine_.active(); }
  Overview overview() const;

  /// alert-list: {run, seq, alerts: [alert_json()], crowded_out: {warning, critical}, untracked,
  ///   waiting: [{rule, subject, readiness, why}], waiting_total, alertmanager: [{url, posts,
  ///   failures, error, resolved}], command: {runs, failures} or null}
  /// alert-show {id}: alert_json() of one that is raised, or was cleared a short while ago
  ///   ("cleared": {at, why}); null if there is none
  /// alert-changes {after, run}: {run, seq, missed, changes: [change_json() with "seq"]}, those
  ///   after number `after` of that run; without them only where it stands
  Result<nlohmann::json> command(const std::string& name, const nlohmann::json& request) const;

 private:
  std::vector<PeerStatus> peers() const;
  nlohmann::json list() const;
  nlohmann::json show(const std::string& id) const;
  nlohmann::json changes(const nlohmann::json& request) const;
  void save(int64_t steady_ms);

  EventLoop& loop_;
  std::string instance_;
  AlertFile file_;
  int64_t run_;
  Config config_;
  Engine engine_;
  Journal journal_;
  std::unique_ptr<Alertmanager> alertmanager_;
  std::unique_ptr<CommandHook> command_;
  uint64_t seq_ = 0;            // of the last change
  std::deque<Change> history_;  // the last ones; those of evidence alone are left out
  bool dirty_ = false;
  int64_t saved_at_ = 0;  // steady ms
  std::string unsaved_;
};

}  // namespace tfo::alert
