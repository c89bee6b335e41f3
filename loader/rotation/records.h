// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "loader/result.h"
#include "loader/rotation/document.h"

namespace tfo::rotation {

/// The keys below "/tfo/FARM/POOL/". Everything but `leader` and `live/` is sealed (seal.h).
std::string pool_prefix(const std::string& farm, const std::string& pool);
inline constexpr const char* kRing = "ring";
inline constexpr const char* kLeader = "leader";         ///< lease; value: the node's name
inline constexpr const char* kMemberPrefix = "member/";  ///< + node; no lease
inline constexpr const char* kLivePrefix = "live/";      ///< + node; lease
inline constexpr const char* kAckPrefix = "ack/";        ///< + node; no lease
/// + node: its last member record, written when that is deleted in good order; its lease lasts for
/// about forget_after.
inline constexpr const char* kLeftPrefix = "left/";
inline constexpr const char* kRequestPrefix = "request/";
/// What all servers take, added up by the leader (farm_reports.h).
inline constexpr const char* kReports = "reports";

/// 1 to 63 of letters, digits, '.', '_' and '-': farms, pools and nodes are parts of etcd's keys.
Result<> check_name(std::string_view name, std::string_view field);

/// A node that takes part, from its joining until it leaves or is forgotten.
struct Member {
  std::string node;
  bool balancer = false;
  bool server = false;
  int64_t joined_at = 0;  ///< unix seconds
  /// Random, of this membership: joined_at can come twice. 0: it does not say.
  uint64_t membership = 0;

  bool operator==(const Member&) const = default;
};

/// A promise that survives a reboot: this node has made the document durable, applied it and read
/// it back, in every namespace and in the data plane.
struct Ack {
  std::string node;
  Counter counter;
  std::string hash;     ///< hash_of() that document
  std::string partial;  ///< what is not so ("netns blue: ..."); not empty: it counts as missing
  bool balancer = false;
  bool server = false;
  bool renews = false;  ///< a balancer: renewal is in force for every VIP of the pool
  std::string boot_id;
  std::string instance;  ///< random, of this run of tfod: two of one name are told apart
  /// Of this instance's acks, from 1, higher with each that it writes: an earlier one that somebody
  /// puts back over a later one shows. 0: it does not say.
  uint64_t sequence = 0;
  int64_t clock = 0;            ///< unix seconds, this node's
  int64_t since = 0;            ///< unix seconds: when this document was in force there
  std::vector<uint32_t> opens;  ///< numbers of the farm key's lines that it has
  /// What its listeners can take, for balancers' limits (FarmReports): an array of {netns,
  /// fastopen_bits, somaxconn, left_out, sums: {listeners, qlen, qlen_least, qlen_unknown, backlog,
  /// fullest_quarters}, listeners: [{address, port, backlog, fastopen_limit}]}, one for each
  /// network namespace; the sums are over all listeners that may do Fast Open, the list over some.
  /// Null where it is no server.
  nlohmann::json listeners;

  bool operator==(const Ack&) const = default;
};

/// Which acks of one node were seen: whoever writes to etcd can put an earlier one back, which is
/// genuine. An instance that another one has followed may still be there (two of one name).
class AckOrder {
 public:
  enum class Age {
    kNew,   ///< also if it does not say
    kSame,  ///< the newest of its instance, and none of another was seen since
    kOld    ///< somebody has put it back
  };
  /// Remembers it.
  Age look(const Ack& ack);

 private:
  std::map<std::string, uint64_t> newest_;  ///< by instance
  std::string last_;                        ///< instance
};

/// What an operator asks of the farm. It names the counter it was made for: later it is refused, so
/// that an old one cannot be played again.
struct Request {
  enum class Kind { kRotate, kAbort, kRevoke, kForget, kRekey };
  std::string id;  ///< 16 hex digits, random
  Kind kind = Kind::kRotate;
  Counter expects;
  uint64_t generation = 0;  ///< kRevoke
  bool gentle = false;      ///< kRevoke: the two-phase way, with a rotation first
  std::string node;         ///< kForget
  bool off_wire = false;    ///< kForget: the operator vouches that it sees no packets any more
  uint32_t key = 0;         ///< kRekey: number of the line to seal with
  bool revoke_all = false;  ///< kRekey: with a new ring
  std::string by;           ///< node it was asked at
  int64_t at = 0;           ///< unix seconds

  bool operator==(const Request&) const = default;
};

/// As JSON, and back. No secrets in them.
nlohmann::json to_json(const Member& member);
nlohmann::json to_json(const Ack& ack);
nlohmann::json to_json(const Request& request);
Result<Member> member_from(const nlohmann::json& object);
Result<Ack> ack_from(const nlohmann::json& object);
Result<Request> request_from(const nlohmann::json& object);
std::string_view to_string(Request::Kind kind);

}  // namespace tfo::rotation
