// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/membership.h"

#include "loader/etcd/kv.h"
#include "loader/log.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

void Membership::take(const Reading& reading) {
  if (ended_ || !site_.document || !reading.in_step) return;
  const std::string& node = site_.settings.node;
  if (!reading.member || !is_ours(*reading.member)) {
    // That the record is gone or spoilt says nothing: whoever writes to etcd can do that, and the
    // leader counts on us all the same. Only the document, of the same revision, says who was
    // forgotten.
    const bool forgotten = site_.known().forgotten.contains(node);
    if (forgotten && site_.remembered.joined) {
      site_.troubles.raise(
          kNotMember, "the farm has forgotten " + node + ": the document says so; joining again");
    }
    if (forgotten) set_joined(false);
    return join(reading.member);
  }
  if (reading.number <= written_) return;
  // With the record there, every leader waits for us, even if the document still calls us
  // forgotten: the record went with the document that did so first, so that it is a later one.
  site_.troubles.clear(kNotMember);
  set_joined(true);
}

void Membership::check_forgotten() {
  const std::string& node = site_.settings.node;
  if (ended_ || !joined_ || !site_.known().forgotten.contains(node)) return;
  written_ = follower_.begun();
  set_joined(false);
  follower_.read_now();
}

bool Membership::is_ours(const etcd::KeyValue& record) {
  const auto opened = site_.open(site_.own(kMemberPrefix), record.value);
  if (!opened) return false;
  const auto member =
      member_from(nlohmann::json::parse(opened->text.begin(), opened->text.end(), nullptr, false));
  if (!member || member->node != site_.settings.node ||
      member->balancer != site_.settings.balancer || member->server != site_.settings.server) {
    return false;
  }
  record_ = *member;
  return true;
}

void Membership::join(const std::optional<etcd::KeyValue>& record) {
  if (busy_) return;
  Member member;
  member.node = site_.settings.node;
  member.balancer = site_.settings.balancer;
  member.server = site_.settings.server;
  member.joined_at = site_.now();
  member.membership = random_id();
  const auto sealed =
      site_.seal(site_.own(kMemberPrefix), site_.known().counter, to_json(member).dump());
  if (!sealed) return;
  const std::string key = site_.own_key(kMemberPrefix);
  etcd::Txn txn;
  txn.when = {record ? etcd::value_is(key, record->value) : etcd::absent(key)};
  txn.then = {etcd::Put{key, *sealed, 0}, etcd::Delete{site_.own_key(kLeftPrefix), ""}};
  busy_ = true;
  call_ = etcd::txn(*site_.client, txn, [this](const auto& reply) {
    busy_ = false;
    if (!reply) return;  // the next read tells
    written_ = follower_.begun();
    follower_.read_now();
  });
}

void Membership::set_joined(bool joined) {
  if (joined_ == joined) return;
  joined_ = joined;
  if (joined) {
    site_.keep_joined(true);
    log_info("pool {}: {} is a member of farm {}", site_.settings.pool, site_.settings.node,
             site_.settings.farm);
  }
  changed_();
}

}  // namespace tfo::rotation
