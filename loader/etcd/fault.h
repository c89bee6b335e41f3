// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "loader/result.h"

namespace tfo::etcd {

/// Why etcd did not do what was asked, sorted by what the caller can do about it.
enum class FaultKind {
  kUnreachable,     ///< nothing was sent: no connection, no TLS, a name that does not resolve
  kNotEtcd,         ///< something answers there, but not etcd's gateway
  kNoAnswer,        ///< sent, then silence or a lost connection
  kUnavailable,     ///< etcd says so itself: no leader, request timed out (gRPC 14 and kin)
  kUnreadable,      ///< the answer is not what etcd writes
  kTooLarge,        ///< the answer is longer than Limits::body
  kAuthentication,  ///< the token is not known (gRPC 16), or user and password do not fit
  kDenied,          ///< the user's roles do not reach this key (gRPC 7)
  kCompacted,       ///< the revision asked for was compacted away (gRPC 11)
  kFutureRevision,  ///< the revision asked for is yet to come (gRPC 11)
  kNotFound,        ///< no such lease or the like (gRPC 5)
  kRefused,         ///< any other definite no: the request was wrong, the store is full
};

/// A failure of one operation. `message` names the endpoint, the operation and what to do; it holds
/// no password, token or value.
struct Fault {
  FaultKind kind = FaultKind::kRefused;
  int code = -1;  ///< gRPC's status code; -1: none came
  std::string message;

  Error error() const { return Error{message}; }
};

template <class T>
using Outcome = tl::expected<T, Fault>;

/// A write that failed like this may have been done all the same, or may still be done: read again
/// (linearizably) before deciding anything.
bool outcome_unknown(const Fault& fault);

/// May another member do better?
bool worth_another_endpoint(const Fault& fault);

/// What is asked, and of whom: "etcd https://10.0.0.1:2379: put".
struct Occasion {
  std::string endpoint;
  std::string operation;
  bool writes = true;  ///< so that it matters whether it was done

  Fault fault(FaultKind kind, const std::string& text, int code = -1) const;
};

/// A transfer that did not bring a whole reply.
struct BrokenTransfer {
  int curl_code = 0;  ///< CURLcode
  std::string text;   ///< libcurl's words
  bool sent = false;  ///< did any of the request's body leave?
  bool too_large = false;
};
Fault transfer_fault(const Occasion& occasion, const BrokenTransfer& transfer);

/// gRPC's status as the gateway writes it: {"error", "message", "code"} alone, {"error":
/// {"grpc_code", "message", ...}} within a stream; newer gateways {"code", "message"} and {"error":
/// {"code", ...}}. Nothing if the object is no error.
struct GrpcStatus {
  int code = 0;
  std::string message;
};
std::optional<GrpcStatus> grpc_status(const nlohmann::json& object);
Fault status_fault(const Occasion& occasion, const GrpcStatus& status);

/// A reply of the gateway: its JSON object (the first line's, if it is a stream's), or why not.
struct HttpReply {
  long status = 0;
  std::string body;
  int64_t date = 0;  ///< the server's clock, unix seconds; 0: it does not tell
};
Outcome<nlohmann::json> read_reply(const Occasion& occasion, const HttpReply& reply);

/// Says that an answer was JSON, but without what it must hold.
Fault unreadable(const Occasion& occasion);

/// Does the token have to be fetched again, after which the same request may pass? Restarted
/// members forget simple tokens (gRPC 16), requests without one have no user name, and a change of
/// users or roles makes older tokens stale (both gRPC 3). Such a request was not done.
bool token_refused(const Fault& fault);

/// etcd runs without authentication; no token is needed.
bool authentication_is_off(const Fault& fault);

}  // namespace tfo::etcd
