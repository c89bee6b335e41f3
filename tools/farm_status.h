// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/result.h"
#include "loader/rotation/document.h"
#include "tools/client.h"
#include "tools/context.h"

namespace tfo {

/// A member of the farm, as the tfod that was asked knows it.
struct FarmMember {
  std::string node;
  bool balancer = false;
  bool server = false;
  bool live = false;      // holds a lease
  bool acked = false;     // has acknowledged, in full, the document that this tfod has
  std::string ack;        // counter of what it acknowledged last; "-": nothing
  std::string partial;    // what lacks there; "-": nothing
  int64_t since = 0;      // unix seconds: what it acknowledged is in force since; 0: not known
  int64_t last_seen = 0;  // unix seconds; 0: not known
  int64_t joined_at = 0;  // unix seconds

  /// "balancer", "server", "balancer server".
  std::string roles() const;
};

/// What was asked of the farm at this tfod, and what became of it.
struct FarmAsked {
  std::string id;
  std::string kind;
  std::string state;  // pending, served, refused, failed
  std::string why;
};

/// tfod's answer to "farm-status".
struct FarmStatus {
  nlohmann::json document;  // all of it
  std::string pool;
  std::string state;
  bool steady = false;
  rotation::Counter counter;
  int64_t since = 0;  // unix seconds: when this state was entered
  std::string leader;
  bool leading = false;  // this tfod: then it follows the members without being asked
  bool connected = false;
  std::string held;     // why a rotation does not go on; empty: it does, or nobody knows
  std::string current;  // id of the current generation
  std::set<std::string> generations;  // ids of all
  std::vector<FarmMember> members;
  std::vector<FarmAsked> asked;
  int64_t roster_at = 0;     // unix milliseconds of when the members were read; 0: never
  int64_t newest_line = 0;   // of the farm key file
  int64_t sealing_line = 0;  // what the document lies sealed under in etcd

  /// Members whose acknowledgement is missing.
  std::vector<const FarmMember*> stragglers() const;
  /// Everybody that is known has acknowledged, and somebody is.
  bool all_acked() const { return !members.empty() && stragglers().empty(); }
  const FarmAsked* find_asked(const std::string& id) const;
};

/// "1700000000.12"; {0, 0} if it is no such text.
rotation::Counter counter_of(const std::string& text);

FarmStatus farm_status_from(nlohmann::json document);
tl::expected<FarmStatus, CallError> read_farm_status(const Context& context,
                                                     const std::string& pool);

}  // namespace tfo
