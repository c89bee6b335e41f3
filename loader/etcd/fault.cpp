// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/fault.h"

#include <curl/curl.h>

#include <string_view>

#include "loader/etcd/json.h"

namespace tfo::etcd {
namespace {

// google.golang.org/grpc/codes
enum Code {
  kInvalidArgument = 3,
  kNotFoundCode = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kUnauthenticated = 16,
};

// etcd's words (rpctypes/error.go), where the code alone does not tell.
constexpr std::string_view kCompactedText = "required revision has been compacted";
constexpr std::string_view kFutureText = "required revision is a future revision";
constexpr std::string_view kNoUserText = "user name is empty";
constexpr std::string_view kOldAuthText = "revision of auth store is old";
constexpr std::string_view kAuthOffText = "authentication is not enabled";
constexpr std::string_view kBadPasswordText = "invalid user ID or password";
constexpr std::string_view kTooManyOpsText = "too many operations in txn request";
constexpr std::string_view kCommonNameText = "CommonName of client sending a request";

bool says(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

FaultKind kind_of(const GrpcStatus& status) {
  switch (status.code) {
    case kUnauthenticated:
      return FaultKind::kAuthentication;
    case kPermissionDenied:
      return FaultKind::kDenied;
    case kNotFoundCode:
      return FaultKind::kNotFound;
    case kOutOfRange:
      if (says(status.message, kCompactedText)) return FaultKind::kCompacted;
      return says(status.message, kFutureText) ? FaultKind::kFutureRevision : FaultKind::kRefused;
    case kInvalidArgument:
      return says(status.message, kNoUserText) || says(status.message, kOldAuthText) ||
                     says(status.message, kBadPasswordText)
                 ? FaultKind::kAuthentication
                 : FaultKind::kRefused;
    case kAlreadyExists:
    case kResourceExhausted:
    case kFailedPrecondition:
    case kUnimplemented:
      return FaultKind::kRefused;
    default:  // 14 and 4, and all that do not say that nothing was done
      return FaultKind::kUnavailable;
  }
}

/// What to do, for the person who reads it.
std::string advice(FaultKind kind, const GrpcStatus& status) {
  if (says(status.message, kBadPasswordText))
    return ": check farm.etcd.user and farm.etcd.password_file";
  if (says(status.message, kNoUserText)) {
    return ": authentication is on there: give farm.etcd.user and farm.etcd.password_file";
  }
  if (says(status.message, kTooManyOpsText)) {
    return ": split the transaction, or raise etcd's --max-txn-ops";
  }
  switch (kind) {
    case FaultKind::kDenied:
      return ": grant farm.etcd.user a role that reads and writes this prefix";
    case FaultKind::kCompacted:
      return ": read the current revision";
    case FaultKind::kFutureRevision:
      return ": the store is behind what was seen before: was it restored from a backup?";
    default:
      return "";
  }
}

bool certificate_refused(std::string_view text) {
  return says(text, "alert") && (says(text, "certificate") || says(text, "unknown ca"));
}

std::string connection_advice(int curl_code) {
  switch (curl_code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return ": check farm.etcd.ca_file and the names in etcd's certificate";
    case CURLE_SSL_CERTPROBLEM:
      return ": check farm.etcd.cert_file and farm.etcd.key_file";
    default:
      return ": check farm.etcd.endpoints, and that etcd runs there";
  }
}

Fault plain_text_fault(const Occasion& occasion, const HttpReply& reply) {
  if (says(reply.body, kCommonNameText)) {
    return occasion.fault(
        FaultKind::kRefused,
        "the client's certificate names a common name (CN), which etcd's gateway refuses while "
        "authentication is on: make one without CN (subjectAltName only) for farm.etcd.cert_file; "
        "farm.etcd.user and farm.etcd.password_file say who we are",
        kInvalidArgument);
  }
  const std::string what = "HTTP " + std::to_string(reply.status) + ", and " +
                           std::to_string(reply.body.size()) + " bytes that are not etcd's JSON";
  if (reply.status >= 500) return occasion.fault(FaultKind::kUnavailable, what);
  if (reply.status < 300) return occasion.fault(FaultKind::kUnreadable, what);
  return occasion.fault(FaultKind::kNotEtcd,
                        what +
                            ": is this the client address of an etcd 3.4 or later with its "
                            "gRPC gateway enabled?");
}

}  // namespace

bool outcome_unknown(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kNoAnswer:
    case FaultKind::kUnavailable:
    case FaultKind::kUnreadable:
    case FaultKind::kTooLarge:
      return true;
    default:
      return false;
  }
}

bool worth_another_endpoint(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kUnreachable:
    case FaultKind::kNotEtcd:
    case FaultKind::kNoAnswer:
    case FaultKind::kUnavailable:
    case FaultKind::kUnreadable:
      return true;
    default:
      return false;
  }
}

Fault Occasion::fault(FaultKind kind, const std::string& text, int code) const {
  Fault made{kind, code, "etcd " + endpoint + ": " + operation + ": " + text};
  if (writes && outcome_unknown(made)) made.message += " (it may have been done: read again)";
  return made;
}

Fault transfer_fault(const Occasion& occasion, const BrokenTransfer& transfer) {
  if (transfer.too_large) {
    return occasion.fault(FaultKind::kTooLarge, "the answer is too large: ask for less at a time");
  }
  std::string text = printable(transfer.text);
  // TLS 1.3: the server's verdict on our certificate comes after our first bytes, and before it has
  // read them. Often only the end of the connection is seen.
  const bool refused = certificate_refused(transfer.text);
  const bool closed =
      transfer.curl_code == CURLE_SEND_ERROR || transfer.curl_code == CURLE_RECV_ERROR;
  if (refused || (closed && occasion.endpoint.starts_with("https:"))) {
    text += refused ? ": " : ": if it stays so, ";
    text += "check farm.etcd.cert_file and farm.etcd.key_file against etcd's --trusted-ca-file";
  }
  // A request that could not be sent whole is no JSON, and etcd does nothing with it.
  const bool cut = transfer.curl_code == CURLE_SEND_ERROR;
  if (transfer.sent && !refused && !cut) return occasion.fault(FaultKind::kNoAnswer, text);
  if (!transfer.sent) text += connection_advice(transfer.curl_code);
  return occasion.fault(FaultKind::kUnreachable, text);
}

std::optional<GrpcStatus> grpc_status(const nlohmann::json& object) {
  if (!object.is_object() || object.contains("result")) return std::nullopt;
  const auto error = object.find("error");
  const bool nested = error != object.end() && error->is_object();
  const bool alone =
      object.contains("code") && (object.contains("message") || error != object.end());
  if (!nested && !alone) return std::nullopt;
  Fields fields(nested ? *error : object);
  GrpcStatus status;
  const int64_t code = fields.integer(fields.has("grpc_code") ? "grpc_code" : "code");
  status.code = code > 0 && code <= kUnauthenticated ? static_cast<int>(code) : 2;  // 2: unknown
  status.message = fields.text("message");
  if (status.message.empty()) status.message = fields.text("error");
  return status;
}

Fault status_fault(const Occasion& occasion, const GrpcStatus& status) {
  const FaultKind kind = kind_of(status);
  return occasion.fault(kind, printable(status.message) + advice(kind, status), status.code);
}

Outcome<nlohmann::json> read_reply(const Occasion& occasion, const HttpReply& reply) {
  const std::string_view line = std::string_view(reply.body).substr(0, reply.body.find('\n'));
  auto object = parse_object(line);
  if (!object) object = parse_object(reply.body);  // more than one line, but one object
  if (object) {
    if (auto status = grpc_status(*object)) {
      return tl::unexpected(status_fault(occasion, *status));
    }
    if (reply.status == 200) return std::move(*object);
  }
  return tl::unexpected(plain_text_fault(occasion, reply));
}

Fault unreadable(const Occasion& occasion) {
  return occasion.fault(FaultKind::kUnreadable, "the answer lacks what etcd 3.4 and later write");
}

bool token_refused(const Fault& fault) {
  return fault.kind == FaultKind::kAuthentication && !says(fault.message, kBadPasswordText);
}

bool authentication_is_off(const Fault& fault) {
  return fault.code == kFailedPrecondition && says(fault.message, kAuthOffText);
}

}  // namespace tfo::etcd
