// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "loader/etcd/pages.h"
#include "loader/keys/ring.h"
#include "loader/rotation/agent_impl.h"
#include "loader/rotation/decider.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

using nlohmann::json;

json known(int64_t unix_s) { return unix_s == 0 ? json(nullptr) : json(unix_s); }

std::string slot_of(const Document& document, uint64_t id) {
  if (id == document.current) return "current";
  if (id == document.next) return "next";
  return id == document.other ? "other" : "";
}

json generations_of(const Document& document) {
  json all = json::array();
  for (const FarmGeneration& one : document.generations) {
    all.push_back({{"id", id_text(one.id)},
                   {"fingerprint", one.key.fingerprint()},
                   {"slot", slot_of(document, one.id)},
                   {"revoked", one.revoked},
                   {"created_at", one.created_at},
                   {"not_after", one.not_after}});
  }
  return all;
}

json events_of(const Document& document) {
  json all = json::array();
  for (const Event& event : document.events) {
    all.push_back({{"at", event.at},
                   {"counter", event.counter.text()},
                   {"state", std::string(to_string(event.state))},
                   {"what", event.what},
                   {"by", event.by}});
  }
  return all;
}

json member_of(const FarmView& view, const Roster& roster, const Member& member, bool acked,
               int64_t now) {
  const auto ack = view.acks.find(member.node);
  const bool has = ack != view.acks.end();
  const bool live = view.live.contains(member.node);
  const auto silent = view.silent_for.find(member.node);
  int64_t last_seen = live ? roster.at() / 1000 : 0;
  if (!live && silent != view.silent_for.end()) last_seen = now - silent->second;
  return {{"node", member.node},
          {"balancer", member.balancer},
          {"server", member.server},
          {"live", live},
          {"joined_at", member.joined_at},
          {"last_seen", known(last_seen)},
          {"acked", acked},
          {"ack", has ? json(ack->second.counter.text()) : json(nullptr)},
          {"since", has ? json(ack->second.since) : json(nullptr)},
          {"partial", has ? ack->second.partial : ""},
          {"renews", has && ack->second.renews},
          {"listeners", has ? ack->second.listeners : json(nullptr)}};
}

void add_document(json& status, const Document& document, const Settings& settings) {
  status["state"] = std::string(to_string(document.state));
  status["aborting"] = document.aborting;
  status["counter"] = document.counter.text();
  status["since"] = document.state_since;
  status["rotated_at"] = document.rotated_at;
  if (settings.policy.interval > 0) {
    status["next_rotation"] = document.rotated_at + settings.policy.interval;
  }
  status["generations"] = generations_of(document);
  status["events"] = events_of(document);
}

}  // namespace

const Roster& AgentImpl::roster() const {
  const Roster* current = rotator_.roster();
  return current != nullptr ? *current : roster_;
}

json AgentImpl::status() const {
  const Settings& settings = site_->settings;
  const FarmKey& key = site_->farm_key();
  json status = {{"pool", settings.pool},
                 {"farm", settings.farm},
                 {"node", settings.node},
                 {"state", ""},
                 {"counter", ""},
                 {"next_rotation", nullptr},
                 {"leader", candidate_.leader()},
                 {"leading", rotator_.leading()},
                 {"connected", follower_.connected()},
                 {"held", rotator_.decision().held},
                 {"waits_for", json::array()},
                 {"generations", json::array()},
                 {"members", json::array()},
                 {"roster_at", roster().at()},
                 {"events", json::array()},
                 {"reports", nullptr},
                 {"asked", asker_.status()},
                 {"farm_key",
                  {{"newest", key.newest()},
                   {"sealed_under", claimed_line(site_->remembered.sealed)},
                   {"min", site_->remembered.min_key},
                   {"lines", key.numbers()}}}};
  if (settings.balancer) status["reports"] = to_json(reports(), site_->clock.now().unix_s);
  if (!site_->document) return status;
  add_document(status, site_->known(), settings);
  const FarmView view = roster().view();
  for (const auto& [node, member] : view.members) {
    const auto ack = view.acks.find(node);
    const bool acked =
        ack != view.acks.end() && promises(ack->second, site_->known().counter, site_->hash);
    status["members"].push_back(
        member_of(view, roster(), member, acked, site_->clock.now().unix_s));
    if (!acked) status["waits_for"].push_back(node);
  }
  return status;
}

Tally AgentImpl::tally() const {
  Tally tally{.rotations = endings_.counts(), .nodes = {}, .leading = rotator_.leading()};
  const Roster* current = rotator_.roster();
  if (current != nullptr && site_->document) {
    tally.nodes = current->count_nodes(site_->known().counter, site_->hash);
  }
  return tally;
}

void AgentImpl::refresh() {
  if (refreshing_ || rotator_.roster() != nullptr) return;
  etcd::Range all;
  all.key = site_->key("");
  all.range_end = etcd::prefix_end(all.key);
  refreshing_ = true;
  refresh_call_ = etcd::range_by_pages(*site_->client, std::move(all),
                                       [this](const auto& reply) { refreshed(reply); });
}

void AgentImpl::refreshed(const etcd::Outcome<etcd::RangeReply>& reply) {
  refreshing_ = false;
  if (!reply) return site_->tell(reply.error());
  roster_.load(reply->kvs);
  changed_soon();
}

}  // namespace tfo::rotation
