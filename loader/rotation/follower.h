// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "loader/etcd/kv.h"
#include "loader/etcd/watch.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// One linearizable look at what concerns this node, all of one revision.
struct Reading {
  uint64_t number = 0;  ///< of the reads begun in this run, from 1
  int64_t revision = 0;
  bool in_step = false;  ///< the document in etcd is the one that we have made durable
  std::optional<etcd::KeyValue> member;  ///< member/N
  std::optional<etcd::KeyValue> ack;     ///< ack/N
  std::optional<etcd::KeyValue> leader;
  std::optional<etcd::KeyValue> live;     ///< live/N
  std::optional<etcd::KeyValue> reports;  ///< kReports
};

/// Keeps this node's document and etcd's the same one: reads it regularly and whenever the watch on
/// it or etcd's revisions look wrong; follows what is higher, once it is durable here; puts ours
/// back over what is lower, gone or not genuine; unites a fork. Every write compares the value that
/// was read, and waits for a random part of a second, so that of a thousand nodes one does it.
class Follower {
 public:
  struct Hooks {
    std::function<void()> document;  ///< there is another one, durable
    std::function<void(const Reading&)> reading;
    std::function<void()> rolled_back;  ///< etcd was: nothing that was written counts any more
    std::function<void()> changed;      ///< anything else that shows
  };

  Follower(Site& site, Hooks hooks) : site_(site), hooks_(std::move(hooks)) {}
  Result<> start();

  /// Now, or right after the read that is under way.
  void read_now();
  /// Number of the last read that was begun.
  uint64_t begun() const { return number_; }

  /// The document's value in etcd as it is known at `revision`; nothing: there is none.
  void take(const std::optional<std::string>& value, int64_t revision);

  /// As last seen in etcd.
  const std::optional<std::string>& value() const { return value_; }
  bool in_step() const { return value_ && site_.document && *value_ == site_.remembered.sealed; }
  bool connected() const { return connected_; }
  /// Is the start of the last read that found our document in etcd less than 10 s ago?
  bool confirmed() const;
  /// That start on the clock's boot clock, in seconds.
  std::optional<int64_t> confirmed_boot_s() const { return confirmed_boot_s_; }
  /// When etcd answered last, or start() (boot_ms()).
  int64_t heard_at() const { return heard_at_; }

  /// Takes what is lower than ours, once.
  Result<nlohmann::json> adopt();

 private:
  struct Repair {
    std::optional<std::string> over;  ///< what it replaces; nothing: no value
    std::string value;
  };

  void answered(etcd::Outcome<etcd::TxnReply> reply);
  void took(const etcd::TxnReply& reply);
  void check_continuity(const etcd::TxnReply& reply);
  void check_acks(const etcd::TxnReply& reply);
  void watch_from(int64_t revision);
  void noticed(const etcd::WatchNotice& notice);
  void weigh();
  void weigh(const std::string& value, const Document& read);
  void missing();
  void refuse(const std::string& value, const std::string& why);
  void follow(const std::string& value, const Document& read);
  void unite_with(const std::string& value, const Document& read);
  void put_back(const std::string& why);
  void repair_soon(std::string with);
  void repair();

  Site& site_;
  Hooks hooks_;
  EventLoop::Source timer_;
  EventLoop::Source repair_timer_;
  etcd::Call read_call_;
  etcd::Call repair_call_;
  std::unique_ptr<etcd::Watch> watch_;

  uint64_t number_ = 0;
  bool reading_ = false;
  bool again_ = false;
  int64_t begun_ms_ = 0;
  int64_t begun_boot_s_ = 0;
  int64_t floor_ = 0;  ///< what the read under way must not be older than

  bool lacks_line_ = false;  ///< farm_key_missing is raised because of what etcd holds
  bool connected_ = false;
  int64_t heard_at_ = 0;
  int64_t confirmed_ms_ = 0;
  std::optional<int64_t> confirmed_boot_s_;

  std::optional<std::string> value_;
  int64_t revision_ = 0;  ///< at which value_ is known
  std::optional<Repair> repair_;
  Counter highest_ack_;  ///< of anybody's, while we have no document of our own
  /// Genuine, and lower than ours or of the same counter: what adopt() would take.
  struct Lower {
    std::string value;
    Document document;
  };
  std::optional<Lower> lower_;
};

}  // namespace tfo::rotation
