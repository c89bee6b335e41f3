// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/kv.h"

#include <algorithm>
#include <utility>

namespace tfo::etcd {
namespace {

using nlohmann::json;

json to_json(const Range& range) {
  json body = {{"key", to_base64(range.key)}};
  if (!range.range_end.empty()) body["range_end"] = to_base64(range.range_end);
  if (range.revision != 0) body["revision"] = to_text(range.revision);
  if (range.limit != 0) body["limit"] = to_text(range.limit);
  if (range.serializable) body["serializable"] = true;
  if (range.keys_only) body["keys_only"] = true;
  if (range.count_only) body["count_only"] = true;
  return body;
}

json to_json(const Put& put) {
  json body = {{"key", to_base64(put.key)}, {"value", to_base64(put.value)}};
  if (put.lease != 0) body["lease"] = to_text(put.lease);
  return body;
}

json to_json(const Delete& removed) {
  json body = {{"key", to_base64(removed.key)}};
  if (!removed.range_end.empty()) body["range_end"] = to_base64(removed.range_end);
  return body;
}

json to_json(const Compare& compare) {
  struct Name {
    const char* target;
    const char* field;
  };
  static constexpr Name kNames[] = {{"VERSION", "version"},
                                    {"CREATE", "create_revision"},
                                    {"MOD", "mod_revision"},
                                    {"LEASE", "lease"},
                                    {"VALUE", "value"}};
  static constexpr const char* kRelations[] = {"EQUAL", "GREATER", "LESS", "NOT_EQUAL"};
  const Name& name = kNames[static_cast<size_t>(compare.target)];
  json body = {{"key", to_base64(compare.key)},
               {"target", name.target},
               {"result", kRelations[static_cast<size_t>(compare.relation)]}};
  body[name.field] = compare.target == Compare::Target::kValue ? to_base64(compare.value)
                                                               : to_text(compare.number);
  if (!compare.range_end.empty()) body["range_end"] = to_base64(compare.range_end);
  return body;
}

json to_json(const std::vector<Operation>& operations) {
  static constexpr const char* kNames[] = {"request_range", "request_put", "request_delete_range"};
  json list = json::array();
  for (const Operation& operation : operations) {
    json body = std::visit([](const auto& one) { return to_json(one); }, operation);
    list.push_back({{kNames[operation.index()], std::move(body)}});
  }
  return list;
}

bool read(Fields& fields, RangeReply& reply) {
  reply.more = fields.boolean("more");
  reply.count = fields.integer("count");
  for (const json& object : fields.array("kvs")) {
    auto kv = read_key_value(object);
    if (!kv) return false;
    reply.kvs.push_back(std::move(*kv));
  }
  return fields.good();
}

bool read(Fields& fields, PutReply&) { return fields.good(); }

bool read(Fields& fields, DeleteReply& reply) {
  reply.deleted = fields.integer("deleted");
  return fields.good();
}

template <class Reply>
bool read_part(const json& object, std::vector<OperationReply>& replies) {
  Fields fields(object);
  Reply reply;
  reply.header = read_header(fields);
  if (!read(fields, reply)) return false;
  replies.emplace_back(std::move(reply));
  return true;
}

bool read(Fields& fields, TxnReply& reply) {
  reply.succeeded = fields.boolean("succeeded");
  for (const json& object : fields.array("responses")) {
    Fields part(object);
    const bool known =
        part.has("response_range")
            ? read_part<RangeReply>(part.object("response_range"), reply.replies)
        : part.has("response_put")
            ? read_part<PutReply>(part.object("response_put"), reply.replies)
            : read_part<DeleteReply>(part.object("response_delete_range"), reply.replies);
    if (!known) return false;
  }
  return fields.good();
}

template <class Reply>
Call ask(Client& client, Request request, std::function<void(Outcome<Reply>)> callback) {
  const Occasion occasion{"", request.operation, !request.repeatable};
  const auto read_answer = [occasion, callback = std::move(callback)](Outcome<Answer> answer) {
    if (!answer) return callback(tl::unexpected(std::move(answer.error())));
    Fields fields(answer->body);
    Reply reply;
    reply.header = read_header(fields);
    reply.continuity = answer->continuity;
    if (read(fields, reply)) return callback(std::move(reply));
    Occasion here = occasion;
    here.endpoint = answer->endpoint;
    callback(tl::unexpected(unreadable(here)));
  };
  return client.call(std::move(request), read_answer);
}

Request request(const char* operation, const char* path, json body, bool repeatable,
                bool linearizable) {
  return {operation, path, std::move(body), repeatable, linearizable};
}

}  // namespace

std::string prefix_end(const std::string& prefix) {
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // etcd's word for "no end"
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

Compare value_is(std::string key, std::string value) {
  Compare compare;
  compare.key = std::move(key);
  compare.target = Compare::Target::kValue;
  compare.value = std::move(value);
  return compare;
}

Compare absent(std::string key) {
  Compare compare;
  compare.key = std::move(key);
  compare.target = Compare::Target::kCreate;
  return compare;
}

Call range(Client& client, const Range& what, std::function<void(Outcome<RangeReply>)> callback) {
  // A range at an old revision is answered with today's revision in its header.
  return ask<RangeReply>(client,
                         request("range", "/v3/kv/range", to_json(what), true, !what.serializable),
                         std::move(callback));
}

Call put(Client& client, const Put& what, std::function<void(Outcome<PutReply>)> callback) {
  return ask<PutReply>(client, request("put", "/v3/kv/put", to_json(what), false, true),
                       std::move(callback));
}

Call remove(Client& client, const Delete& what,
            std::function<void(Outcome<DeleteReply>)> callback) {
  return ask<DeleteReply>(client,
                          request("delete", "/v3/kv/deleterange", to_json(what), false, true),
                          std::move(callback));
}

Call txn(Client& client, const Txn& what, std::function<void(Outcome<TxnReply>)> callback) {
  json compares = json::array();
  for (const Compare& compare : what.when) compares.push_back(to_json(compare));
  const json body = {{"compare", std::move(compares)},
                     {"success", to_json(what.then)},
                     {"failure", to_json(what.otherwise)}};
  const auto reads = [](const Operation& operation) {
    return std::holds_alternative<Range>(operation);
  };
  const auto stale = [](const Operation& operation) {
    const auto* range = std::get_if<Range>(&operation);
    return range != nullptr && range->serializable;
  };
  const bool only_reads =
      std::ranges::all_of(what.then, reads) && std::ranges::all_of(what.otherwise, reads);
  const bool linearizable =
      !std::ranges::any_of(what.then, stale) && !std::ranges::any_of(what.otherwise, stale);
  return ask<TxnReply>(client, request("txn", "/v3/kv/txn", body, only_reads, linearizable),
                       std::move(callback));
}

}  // namespace tfo::etcd
