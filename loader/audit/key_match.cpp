// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/key_match.h"

#include <sodium.h>

#include "loader/audit/address.h"
#include "loader/audit/verdict.h"

namespace tfo::audit {

using nlohmann::json;

namespace {

/// What one cookie was made of, and the cookie.
struct Question {
  tfo_flow flow{};
  std::vector<uint8_t> cookie;
};

std::string text_at(const json& object, const char* field) {
  const auto found = object.is_object() ? object.find(field) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<Question> read_question(const json& one) {
  const auto source = parse_packet_address(text_at(one, "source"));
  const auto destination = parse_packet_address(text_at(one, "destination"));
  if (!source || !destination || source->family != destination->family) {
    return fail("\"source\" and \"destination\" must be two addresses of one family");
  }
  const std::string hex = text_at(one, "cookie");
  Question question{flow_of(*source, *destination), std::vector<uint8_t>(hex.size() / 2)};
  size_t size = 0;
  if (hex.size() != 2 * TFO_COOKIE_LEN ||
      sodium_hex2bin(question.cookie.data(), question.cookie.size(), hex.data(), hex.size(),
                     nullptr, &size, nullptr) != 0 ||
      size != TFO_COOKIE_LEN) {
    return fail("\"cookie\" must be 16 hex digits");
  }
  return question;
}

json name_of(const Generation& one) {
  return {{"id", id_text(one.id)},
          {"fingerprint", one.key.fingerprint()},
          {"place", std::string(tfo::to_string(one.place))}};
}

}  // namespace

Result<json> answer_key_match(const std::string& pool, const KeyRing& ring, const json& request) {
  const auto cookies = request.find("cookies");
  if (cookies == request.end() || !cookies->is_array()) {
    return fail("give \"cookies\", an array of source, destination and cookie");
  }
  json reply = {{"pool", pool},
                {"phase", std::string(tfo::to_string(ring.phase))},
                {"generations", json::array()},
                {"makers", json::array()}};
  for (const Generation& one : ring.generations) reply["generations"].push_back(name_of(one));
  for (const json& one : *cookies) {
    const auto question = read_question(one);
    if (!question) return tl::unexpected<Error>(question.error());
    const Generation* maker = find_maker(ring.generations, question->flow, question->cookie);
    reply["makers"].push_back(maker == nullptr ? json() : name_of(*maker));
  }
  return reply;
}

}  // namespace tfo::audit
