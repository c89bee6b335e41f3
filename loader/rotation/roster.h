// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/etcd/json.h"
#include "loader/etcd/watch_message.h"
#include "loader/rotation/farm_reports.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/site.h"
#include "loader/rotation/tally.h"

namespace tfo::rotation {

/// All of a pool's records, opened.
///
/// Whoever writes to etcd can delete a node's record of membership. So one that is gone counts on,
/// with what it was, until the document says that the node was forgotten, or the node itself,
/// sealed and for this very membership (left/N), that it leaves; a node that runs writes its record
/// anew at its next read. Remembered is what a leader saw while it leads, and who has acknowledged:
/// a new leader gives those who run one poll to come back (FarmView::complete). What nobody notices
/// is that all records of a dead node are deleted together before another one leads.
class Roster {
 public:
  explicit Roster(const Site& site) : site_(site) {}

  /// Replaces everything by a range over the pool. What had no lease is unseen since now, unless
  /// it was known to be so before.
  void load(const std::vector<etcd::KeyValue>& records);
  /// The same while it leads: what is gone from etcd counts on, see above.
  void load_again(const std::vector<etcd::KeyValue>& records);
  void clear();
  /// One change, as a watch tells it.
  void apply(const etcd::WatchEvent& event);
  /// For the machine; what it must know besides (document, may_mint) is the caller's.
  FarmView view() const;
  /// Those of view() by how they stand to the document of this counter and hash.
  NodeCounts count_nodes(const Counter& counter, const std::string& hash) const;

  const std::map<std::string, Member>& members() const { return members_; }
  const std::map<std::string, Ack>& acks() const { return acks_; }
  const std::set<std::string>& live() const { return live_; }
  /// Values that are not genuine, and why; empty: none.
  std::string refused() const;
  /// What all servers take, as their acknowledgements say; those of nodes that count on are among
  /// them, so that nobody lowers it by deleting or spoiling one while this node leads.
  FarmReports reports() const;
  /// What was written of that, by whoever led, if it is genuine.
  const std::optional<ReportRecord>& report_record() const { return report_record_; }
  /// Unix ms of the last load() or apply(); 0: never.
  int64_t at() const { return at_; }
  /// Members that the leader has forgotten itself.
  void forget(const std::vector<std::string>& nodes);
  /// A request that the leader has served itself.
  void forget_request(const std::string& id);
  /// Requests that lie in etcd although they were answered, or removed, while this node leads:
  /// whoever writes to etcd has put them back. Kept in memory, of which there is enough, and not in
  /// the document, which would have to be written for a refusal. A new leader knows none: what was
  /// served is known to it all the same, by the counter; what was refused it may judge anew.
  std::vector<std::string> replayed() const;
  /// Requests that are not genuine, and cannot become so by a line of the farm key that is lacking;
  /// with their values.
  const std::map<std::string, std::string>& forged() const { return forged_; }

 private:
  /// What a node's clock said when its ack arrived. Ours is compared with it at every look: it may
  /// have been set since.
  struct Heard {
    int64_t unix_s = 0;
    int64_t at = 0;  ///< boot_ms()
  };

  void put(const std::string& name, const std::string& value, bool fresh);
  void put_member(const std::string& node, const std::string& name, const std::string& value);
  void put_left(const std::string& node, const std::string& name, const std::string& value);
  bool has_left(const Member& member) const;
  void vanish(const Member& member);
  void put_ack(const std::string& node, const std::string& name, const std::string& value,
               bool fresh);
  void put_reports(const std::string& value);
  void put_request(const std::string& id, const std::string& name, const std::string& value);
  void remove(const std::string& name);
  void set_live(const std::string& node, bool live);
  void refuse_unless_old(const std::string& name, const std::string& value, const Error& error);
  void refuse(const std::string& name, const std::string& why) { refused_[name] = why; }

  const Site& site_;
  std::map<std::string, Member> members_;
  std::map<std::string, Member> vanished_;  ///< the record is gone, and nothing says why
  std::map<std::string, Member> left_;      ///< the membership that it gave up
  std::map<std::string, Ack> acks_;
  std::map<std::string, AckOrder> orders_;
  std::map<std::string, FarmReports> reports_;  ///< by node, as it said last
  std::optional<ReportRecord> report_record_;
  std::set<std::string> live_;
  std::map<std::string, int64_t> silent_since_;  ///< boot_ms(): nobody sets that clock
  std::map<std::string, Heard> clocks_;
  std::map<std::string, Request> requests_;    ///< by id
  std::deque<std::string> answered_;           ///< their ids, oldest first
  std::map<std::string, std::string> forged_;  ///< by name
  std::map<std::string, std::string> refused_;
  int64_t at_ = 0;
};

}  // namespace tfo::rotation
