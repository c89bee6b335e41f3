// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/answer.h"

namespace tfo::rotation {

using nlohmann::json;

json to_json(const Answer& answer) {
  return {{"id", answer.id}, {"served", answer.served}, {"why", answer.why}};
}

Result<Answer> answer_from(const json& object) {
  const auto is = [&object](const char* name, json::value_t type) {
    return object.is_object() && object.contains(name) && object[name].type() == type;
  };
  if (!is("id", json::value_t::string) || !is("served", json::value_t::boolean) ||
      !is("why", json::value_t::string)) {
    return fail("answer: it is not what a leader writes");
  }
  return Answer{object["id"].get<std::string>(), object["served"].get<bool>(),
                object["why"].get<std::string>()};
}

}  // namespace tfo::rotation
