// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "loader/etcd/json.h"
#include "loader/etcd/watch_message.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// All of a pool's records, opened.
class Roster {
 public:
  explicit Roster(const Site& site) : site_(site) {}

  /// Replaces everything by a range over the pool. What had no lease is unseen since now, unless
  /// it was known to be so before.
  void load(const std::vector<etcd::KeyValue>& records);
  void clear();
  /// One change, as a watch tells it.
  void apply(const etcd::WatchEvent& event);
  /// For the machine; what it must know besides (document, may_mint) is the caller's.
  FarmView view() const;

  const std::map<std::string, Member>& members() const { return members_; }
  const std::map<std::string, Ack>& acks() const { return acks_; }
  const std::set<std::string>& live() const { return live_; }
  const std::map<std::string, int64_t>& last_seen() const { return last_seen_; }
  /// Values that are not genuine, and why; empty: none.
  std::string refused() const;
  /// Unix ms of the last load() or apply(); 0: never.
  int64_t at() const { return at_; }
  /// A request that the leader has served itself.
  void forget_request(const std::string& id) { requests_.erase(id); }

 private:
  struct Offset {
    int64_t seconds = 0;
    int64_t at = 0;  ///< boot_ms()
  };

  void put(const std::string& name, const std::string& value, bool fresh);
  void put_member(const std::string& node, const std::string& name, const std::string& value);
  void put_ack(const std::string& node, const std::string& name, const std::string& value,
               bool fresh);
  void put_request(const std::string& id, const std::string& name, const std::string& value);
  void remove(const std::string& name);
  void set_live(const std::string& node, bool live);
  void refuse_unless_old(const std::string& name, const std::string& value, const Error& error);
  void refuse(const std::string& name, const std::string& why) { refused_[name] = why; }

  const Site& site_;
  std::map<std::string, Member> members_;
  std::map<std::string, Ack> acks_;
  std::set<std::string> live_;
  std::map<std::string, int64_t> last_seen_;
  std::map<std::string, Offset> offsets_;
  std::map<std::string, Request> requests_;  ///< by id
  std::map<std::string, std::string> refused_;
  int64_t at_ = 0;
};

}  // namespace tfo::rotation
