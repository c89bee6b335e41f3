// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/keeper.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "loader/keys/redact.h"

namespace tfo::alert {

using nlohmann::json;

Keeper::Keeper(EventLoop& loop, std::string instance, const std::string& file, int64_t run)
    : loop_(loop),
      instance_(std::move(instance)),
      file_(file),
      run_(run),
      engine_(default_rules()) {}

Keeper::~Keeper() {
  if (!engine_.active().empty()) save(saved_at_);
}

Result<> Keeper::configure(const Config& config) {
  engine_.set_rules(config.rules);
  Result<> done;
  // What stays the same keeps what it has yet to deliver.
  if (config.alertmanager != config_.alertmanager) {
    alertmanager_.reset();
    if (!config.alertmanager.urls.empty()) {
      auto made = Alertmanager::create(loop_, config.alertmanager, instance_, {});
      if (made) {
        alertmanager_ = std::move(*made);
      } else {
        done = tl::unexpected(std::move(made.error()).in("alerts.alertmanager"));
      }
    }
  }
  if (config.command != config_.command) {
    command_.reset();
    if (!config.command.path.empty()) {
      auto made = CommandHook::create(loop_, config.command);
      if (made) {
        command_ = std::move(*made);
      } else {
        done = tl::unexpected(std::move(made.error()).in("alerts.command"));
      }
    }
  }
  config_ = config;
  return done;
}

Result<> Keeper::restore() {
  const auto alerts = file_.load();
  if (!alerts) return tl::unexpected(alerts.error());
  engine_.restore(*alerts);
  return {};
}

void Keeper::tick(Instant now, const std::vector<Sample>& samples,
                  const std::vector<State>& states) {
  std::vector<Sink*> sinks = {&journal_};
  if (alertmanager_) sinks.push_back(alertmanager_.get());
  if (command_) sinks.push_back(command_.get());
  for (Change& change : engine_.tick(now, samples, states)) {
    for (Sink* sink : sinks) sink->take(change);
    if (change.what == Change::What::kEvidence) continue;
    dirty_ = true;
    ++seq_;
    history_.push_back(std::move(change));
    if (history_.size() > kMostChanges) history_.pop_front();
  }
  const std::vector<Alert> active = engine_.active();
  for (Sink* sink : sinks) sink->tick(now, active);
  // What they measure grows: after a crash it goes on from not long ago.
  if (dirty_ || (!active.empty() && now.steady_ms - saved_at_ >= kSaveEvery.count()))
    save(now.steady_ms);
}

void Keeper::save(int64_t steady_ms) {
  const auto saved = file_.save(engine_.active());
  dirty_ = !saved;
  unsaved_ = saved ? "" : saved.error().message;
  saved_at_ = steady_ms;
}

std::vector<PeerStatus> Keeper::peers() const {
  return alertmanager_ ? alertmanager_->peers() : std::vector<PeerStatus>();
}

Overview Keeper::overview() const {
  Overview out{.crowded_out = engine_.crowded_out(), .peers = peers()};
  out.posted = config_.alertmanager.kinds;
  const std::vector<Alert> raised = engine_.active();
  for (const Rule& rule : config_.rules) {
    for (const Severity severity : kAllSeverities) {
      if (!rule.levels.at(static_cast<size_t>(severity))) continue;
      const auto count = std::ranges::count_if(raised, [&](const Alert& alert) {
        return alert.rule == rule.id && alert.severity == severity;
      });
      out.counts.push_back({rule.id, severity, static_cast<size_t>(count)});
    }
  }
  return out;
}

json Keeper::list() const {
  json out = {{"run", run_},
              {"seq", seq_},
              {"alerts", json::array()},
              {"crowded_out", json::object()},
              {"untracked", engine_.untracked()},
              {"waiting", json::array()},
              {"waiting_total", engine_.waiting_total()},
              {"alertmanager", json::array()},
              {"command", nullptr}};
  for (const Alert& alert : engine_.active()) out["alerts"].push_back(alert_json(alert));
  for (const Severity severity : kAllSeverities) {
    out["crowded_out"][to_string(severity)] =
        engine_.crowded_out().at(static_cast<size_t>(severity));
  }
  for (const Waiting& one : engine_.waiting()) {
    out["waiting"].push_back({{"rule", one.rule},
                              {"subject", one.subject},
                              {"readiness", to_string(one.readiness)},
                              {"why", one.why}});
  }
  for (const PeerStatus& peer : peers()) {
    out["alertmanager"].push_back({{"url", peer.url},
                                   {"posts", peer.posts},
                                   {"failures", peer.failures},
                                   {"error", peer.error},
                                   {"resolved", peer.resolved}});
  }
  if (command_) {
    out["command"] = {{"runs", command_->runs()}, {"failures", command_->failures()}};
  }
  return out;
}

json Keeper::show(const std::string& id) const {
  for (const Alert& alert : engine_.active()) {
    if (alert.id() == id) return alert_json(alert);
  }
  for (const Change& change : std::views::reverse(history_)) {
    if (change.what != Change::What::kCleared || change.alert.id() != id) continue;
    json out = alert_json(change.alert);
    out["cleared"] = {{"at", change.at}, {"why", change.why}};
    return out;
  }
  return nullptr;
}

json Keeper::changes(const json& request) const {
  json out = {{"run", run_}, {"seq", seq_}, {"missed", 0}, {"changes", json::array()}};
  const auto after_field = request.find("after");
  const auto run_field = request.find("run");
  if (after_field == request.end() || !after_field->is_number_integer()) return out;
  // Another start of tfod counts from 0.
  const bool same = run_field != request.end() && *run_field == run_;
  const uint64_t after = same ? std::min(after_field->get<uint64_t>(), seq_) : 0;
  const uint64_t oldest = seq_ - history_.size();
  out["missed"] = oldest - std::min(oldest, after);
  for (size_t i = 0; i < history_.size(); ++i) {
    const uint64_t number = oldest + i + 1;
    if (number <= after) continue;
    json one = change_json(history_[i]);
    one["seq"] = number;
    out["changes"].push_back(std::move(one));
  }
  return out;
}

Result<json> Keeper::command(const std::string& name, const json& request) const {
  if (name == "alert-list") return list();
  if (name == "alert-changes") return changes(request);
  if (name == "alert-show") {
    const auto id = request.find("id");
    if (id == request.end() || !id->is_string()) return fail("give \"id\", as in alert-list");
    return show(id->get<std::string>());
  }
  return fail("unknown command \"" + without_keys(name) +
              "\"; known of alerts are alert-list, alert-show, alert-changes");
}

}  // namespace tfo::alert
