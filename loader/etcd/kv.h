// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "loader/etcd/client.h"
#include "loader/etcd/json.h"

namespace tfo::etcd {

/// The end of the range of all keys that begin with `prefix` (not empty).
std::string prefix_end(const std::string& prefix);

/// Reads [key, range_end), or the one key if `range_end` is empty.
struct Range {
  std::string key;
  std::string range_end;
  int64_t revision = 0;       ///< 0: now
  int64_t limit = 0;          ///< 0: none
  bool serializable = false;  ///< what the member knows, possibly stale; else linearizable
  bool keys_only = false;
  bool count_only = false;
};

struct Put {
  std::string key;
  std::string value;
  int64_t lease = 0;  ///< 0: none
};

struct Delete {
  std::string key;
  std::string range_end;
};

/// A condition on a key, or on every key of a range (where there is none: on a key that does not
/// exist). A key that does not exist has create_revision, mod_revision and version 0, and no value:
/// whatever its value is compared with, it is false.
struct Compare {
  enum class Target { kVersion, kCreate, kMod, kLease, kValue };
  enum class Relation { kEqual, kGreater, kLess, kNotEqual };
  std::string key;
  Target target = Target::kMod;
  Relation relation = Relation::kEqual;
  int64_t number = 0;  ///< for all but kValue
  std::string value;   ///< for kValue
  std::string range_end;
};

/// One key has just this value.
Compare value_is(std::string key, std::string value);
/// The key does not exist.
Compare absent(std::string key);

using Operation = std::variant<Range, Put, Delete>;

/// All at once: `then` if every condition holds, else `otherwise`. etcd takes 128 of each
/// (--max-txn-ops).
struct Txn {
  std::vector<Compare> when;
  std::vector<Operation> then;
  std::vector<Operation> otherwise;
};

struct RangeReply {
  Header header;
  Continuity continuity;  ///< nothing is known of a serializable one's
  std::vector<KeyValue> kvs;
  bool more = false;  ///< `limit` cut it short
  int64_t count = 0;  ///< of keys in the range
};

struct PutReply {
  Header header;
  Continuity continuity;
};

struct DeleteReply {
  Header header;
  Continuity continuity;
  int64_t deleted = 0;
};

using OperationReply = std::variant<RangeReply, PutReply, DeleteReply>;

struct TxnReply {
  Header header;
  Continuity continuity;
  bool succeeded = false;               ///< `then` was done
  std::vector<OperationReply> replies;  ///< of the branch that was done
};

Call range(Client& client, const Range& what, std::function<void(Outcome<RangeReply>)> callback);

/// Writes: outcome_unknown() failures may have been done. So write by transactions that compare the
/// value read before, and read again.
Call put(Client& client, const Put& what, std::function<void(Outcome<PutReply>)> callback);
Call remove(Client& client, const Delete& what, std::function<void(Outcome<DeleteReply>)> callback);
/// Repeated by the client if it only reads.
Call txn(Client& client, const Txn& what, std::function<void(Outcome<TxnReply>)> callback);

}  // namespace tfo::etcd
