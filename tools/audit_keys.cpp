// SPDX-License-Identifier: BSD-2-Clause
#include "tools/audit_keys.h"

#include <fmt/format.h>

#include "tools/client.h"

namespace tfo {

using audit::Answer;
using audit::KeyName;
using nlohmann::json;

namespace {

constexpr size_t kBatch = 256;  // cookies in one request: tfod takes lines of 64 KiB

Result<KeyName> read_name(const json& one) {
  const auto place = place_from(text_of(one, "place"));
  if (!place) return fail("tfod: its reply names a key's place that this tfoctl does not know");
  return KeyName{text_of(one, "id"), text_of(one, "fingerprint"), *place};
}

using Answers = std::vector<const Answer*>;

json request_of(const std::string& pool, const Answers& answers, size_t first) {
  json cookies = json::array();
  for (size_t i = first; i < std::min(first + kBatch, answers.size()); i++) {
    const Answer& answer = *answers[i];
    cookies.push_back({{"source", to_string(audit::without_scope(answer.source))},
                       {"destination", to_string(audit::without_scope(answer.target.server))},
                       {"cookie", cookie_text(answer.cookie)}});
  }
  json request = {{"cookies", std::move(cookies)}};
  if (!pool.empty()) request["pool"] = pool;
  return request;
}

Result<> read_reply(const json& reply, AuditMatch& match) {
  match.pool = text_of(reply, "pool");
  match.phase = text_of(reply, "phase");
  match.store = text_of(reply, "store");
  match.servers_change_for = number_of(reply, "servers_change_for");
  match.doubts.clear();
  for (const json& one : array_of(reply, "doubts")) {
    match.doubts.push_back(text_of(one, "id") + " (" + text_of(one, "evidence") + ")");
  }
  match.ring.clear();
  for (const json& one : array_of(reply, "generations")) {
    const auto name = read_name(one);
    if (!name) return tl::unexpected<Error>(name.error());
    match.ring.push_back(*name);
  }
  for (const json& one : array_of(reply, "makers")) {
    if (one.is_null()) {
      match.makers.emplace_back();
      continue;
    }
    const auto name = read_name(one);
    if (!name) return tl::unexpected<Error>(name.error());
    match.makers.emplace_back(*name);
  }
  return {};
}

Result<AuditMatch> ask_daemon(const Context& context, const std::string& pool,
                              const std::vector<Answer>& answers) {
  Answers asked;
  for (const Answer& answer : answers) {
    if (answer.cookie.size() == TFO_COOKIE_LEN) asked.push_back(&answer);
  }
  AuditMatch match;
  size_t first = 0;
  do {
    const auto reply = call(context, "key-match", request_of(pool, asked, first));
    if (!reply) return tl::unexpected<Error>(reply.error());
    if (auto read = read_reply(*reply, match); !read) return tl::unexpected<Error>(read.error());
    first += kBatch;
  } while (first < asked.size());
  if (match.makers.size() != asked.size()) {
    return fail("tfod: its reply does not fit the question; are tfoctl and tfod of one version?");
  }
  std::vector<std::optional<KeyName>> makers(answers.size());
  for (size_t i = 0; i < asked.size(); i++) {
    makers[static_cast<size_t>(asked[i] - answers.data())] = match.makers[i];
  }
  match.makers = std::move(makers);
  return match;
}

tfo_place place_of(size_t index) {
  if (index == 0) return TFO_PLACE_CURRENT;
  return index == 1 ? TFO_PLACE_PREVIOUS : TFO_PLACE_RETIRED;
}

AuditMatch match_here(const std::vector<Key>& keys, const std::vector<Answer>& answers) {
  std::vector<Generation> generations;
  AuditMatch match;
  for (size_t i = 0; i < keys.size(); i++) {
    Generation one;
    one.key = keys[i];
    one.place = place_of(i);
    generations.push_back(one);
    match.ring.push_back({"", one.key.fingerprint(), one.place});
  }
  for (const Answer& answer : answers) {
    const tfo_flow flow = audit::flow_of(answer.source, answer.target.server);
    const Generation* maker = audit::find_maker(generations, flow, answer.cookie);
    match.makers.emplace_back();
    if (maker != nullptr) match.makers.back() = KeyName{"", maker->key.fingerprint(), maker->place};
  }
  return match;
}

}  // namespace

Result<AuditMatch> match_cookies(Context& context, const AuditArgs& args,
                                 const std::vector<Key>& keys, const std::vector<Answer>& answers) {
  if (!keys.empty()) return match_here(keys, answers);
  return ask_daemon(context, args.pool, answers);
}

std::string cookie_text(const std::vector<uint8_t>& cookie) {
  std::string text;
  for (const uint8_t byte : cookie) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace tfo
