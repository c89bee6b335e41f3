// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/lease.h"

#include <utility>

namespace tfo::etcd {
namespace {

Request request(const char* operation, const char* path, nlohmann::json body, bool repeatable) {
  // The revision of a lease's answers is the member's own.
  return {operation, path, std::move(body), repeatable, false};
}

Lease read_lease(Fields& fields) {
  return {fields.integer("ID"), std::chrono::seconds(fields.integer("TTL"))};
}

}  // namespace

Call lease_grant(Client& client, std::chrono::seconds ttl, int64_t id,
                 std::function<void(Outcome<Lease>)> callback) {
  nlohmann::json body = {{"TTL", to_text(ttl.count())}};
  if (id != 0) body["ID"] = to_text(id);
  return client.call(
      request("lease grant", "/v3/lease/grant", std::move(body), false),
      [callback = std::move(callback)](Outcome<Answer> answer) {
        if (!answer) return callback(tl::unexpected(std::move(answer.error())));
        Fields fields(answer->body);
        const Lease lease = read_lease(fields);
        if (!fields.good() || lease.id == 0 || lease.ttl.count() <= 0) {
          return callback(tl::unexpected(unreadable({answer->endpoint, "lease grant", true})));
        }
        callback(lease);
      });
}

Call lease_keepalive(Client& client, int64_t id,
                     std::function<void(Outcome<std::optional<Lease>>)> callback) {
  return client.call(
      request("lease keepalive", "/v3/lease/keepalive", {{"ID", to_text(id)}}, true),
      [id, callback = std::move(callback)](Outcome<Answer> answer) {
        if (!answer && answer.error().kind == FaultKind::kNotFound) return callback(std::nullopt);
        if (!answer) return callback(tl::unexpected(std::move(answer.error())));
        Fields outer(answer->body);
        Fields fields(outer.object("result"));
        const Lease lease = read_lease(fields);
        if (!outer.good() || !fields.good() || lease.id != id) {
          return callback(tl::unexpected(unreadable({answer->endpoint, "lease keepalive", false})));
        }
        // A lease that is gone is no error to etcd: the answer just has no TTL.
        callback(lease.ttl.count() > 0 ? std::optional(lease) : std::nullopt);
      });
}

Call lease_revoke(Client& client, int64_t id, std::function<void(Outcome<Header>)> callback) {
  return client.call(
      request("lease revoke", "/v3/lease/revoke", {{"ID", to_text(id)}}, false),
      [callback = std::move(callback)](Outcome<Answer> answer) {
        if (!answer) return callback(tl::unexpected(std::move(answer.error())));
        Fields fields(answer->body);
        const Header header = read_header(fields);
        if (!fields.good()) {
          return callback(tl::unexpected(unreadable({answer->endpoint, "lease revoke", true})));
        }
        callback(header);
      });
}

}  // namespace tfo::etcd
