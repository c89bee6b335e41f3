// SPDX-License-Identifier: BSD-2-Clause
#include <sodium.h>
#include <unistd.h>

#include "loader/audit/key_match.h"
#include "loader/audit/pool_state.h"
#include "loader/daemon.h"
#include "loader/keys/key.h"
#include "loader/keys/redact.h"
#include "loader/log.h"
#include "loader/observe/report.h"

namespace tfo {

using nlohmann::json;

Result<json> Daemon::command(const std::string& name, json& request) {
  if (name == "status") return status_json(view(false));
  if (name == "overview") return overview_json(overview(), config_.vips.size());
  if (name == "stats") return stats();
  if (name == "vips") return vips_json(config_.vips, heard_of_servers());
  if (name == "keys") return keys_json(view(false));
  if (name == "detach") return detach(request);
  if (name.starts_with("guard-")) return guard_command(name, request);
  if (name.starts_with("alert-")) return alert_command(name, request);
  if (name.starts_with("key-") || name.starts_with("farm-")) return pool_command(name, request);
  return fail(
      "unknown command \"" + without_keys(name) +
      "\"; known are status, overview, stats, vips, keys, key-rotate, key-import, key-export, "
      "key-match, "
      "farm-status, farm-request, farm-adopt, guard-list, guard-release, guard-deny, guard-allow, "
      "alert-list, alert-show, alert-changes, alert-pcap, detach");
}

Result<json> Daemon::stats() const {
  if (!dataplane_) return fail("no XDP here: the configuration has no \"interfaces\"");
  const auto counters = dataplane_->counters();
  if (!counters) return tl::unexpected(counters.error());
  return stats_json(*counters);
}

Result<json> Daemon::pool_command(const std::string& name, json& request) {
  const auto field = request.find("pool");
  std::string pool_name;
  if (field != request.end() && field->is_string()) pool_name = field->get<std::string>();
  if (pool_name.empty() && pools_.names().size() == 1) pool_name = pools_.names().front();
  if (pool_name.empty()) return fail("say which pool; `tfoctl key show` lists them");
  KeyPool* pool = pools_.find(pool_name);
  if (pool == nullptr)
    return fail("there is no pool \"" + without_keys(pool_name) + "\" that could be used");
  if (name == "key-export") {
    log_info("the keys of pool {} were exported through the control socket", pool_name);
    return json{{"pool", pool_name}, {"keys", pool->export_text().view()}};
  }
  if (name == "key-match") return key_match(*pool, request);
  if (name.starts_with("farm-") || (name == "key-rotate" && pool->farm() != nullptr)) {
    return farm_command(name, *pool, request);
  }
  Result<> done = fail("unknown command \"" + without_keys(name) + "\"");
  if (name == "key-rotate") done = pool->rotate();
  if (name == "key-import") return import_keys(*pool, request);
  schedule(clock_.now().unix_s + 1);
  if (!done) return tl::unexpected(done.error());
  log_info("pool {}: rotated by command", pool_name);
  return json{{"pool", pool_name}};
}

Result<json> Daemon::key_match(const KeyPool& pool, const json& request) const {
  auto reply = audit::answer_key_match(pool.name(), pool.ring(), request);
  if (!reply) return reply;
  (*reply)["store"] = pool.status().store;
  (*reply)["doubts"] = audit::doubts_of(pool.name(), conditions_.list());
  (*reply)["servers_change_for"] = 0;
  for (const PoolConfig& one : config_.pools) {
    if (one.name != pool.name() || one.store != StoreKind::kDerived) continue;
    (*reply)["servers_change_for"] =
        audit::servers_change_for(derived_policy(one), clock_.now().unix_s);
  }
  return reply;
}

Result<json> Daemon::import_keys(KeyPool& pool, json& request) {
  const auto field = request.find("keys");
  if (field == request.end() || !field->is_array() || field->empty()) {
    return fail("give \"keys\", an array of key texts");
  }
  std::vector<Key> keys;
  for (const json& text : *field) {
    if (!text.is_string()) return fail("\"keys\" holds something that is no text");
    auto key = Key::parse(text.get_ref<const std::string&>());
    if (!key) return tl::unexpected(key.error());
    keys.push_back(*key);
  }
  const auto done = pool.import(keys);
  schedule(clock_.now().unix_s + 1);
  if (!done) return tl::unexpected(done.error());
  log_info("pool {}: keys imported, current {}", pool.name(), keys.front().fingerprint());
  return json{{"pool", pool.name()}};
}

Result<json> Daemon::detach(const json& request) {
  const auto asked = request.find("restore");
  const bool restore = (asked != request.end() && *asked == true) ||
                       (config_.server && config_.server->restore_on_stop);
  json names = json::array();
  if (dataplane_) {
    for (const InterfaceStatus& status : dataplane_->interfaces()) names.push_back(status.name);
    if (auto done = dataplane_->detach_all(); !done) return tl::unexpected(done.error());
  }
  log_info("detached by command; ending");
  // The pools' sinks point into the data plane.
  close_pools();
  guard_events_ = EventLoop::Source();
  close_monitor();
  dataplane_.reset();
  timer_.stop();
  alert_timer_.stop();
  links_.reset();
  steps_.reset();
  json restored = json::array();
  if (restore) {
    for (const Restored& one : restore_servers()) {
      restored.push_back({{"netns", one.netns}, {"done", one.done}, {"detail", one.detail}});
    }
  }
  // Servers that keep the farm's keys go on counting as a member's.
  if (config_.server && config_.server->manage_sysctl && !restore) leaving_.clear();
  // The moment is for the reply to leave.
  leave_farms([this] { farewell_.start(std::chrono::milliseconds(100)); });
  return json{{"interfaces", names}, {"restored", restored}};
}

}  // namespace tfo
