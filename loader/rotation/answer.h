// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "loader/result.h"

namespace tfo::rotation {

/// Written by the leader in the transaction that deletes a request, on its lease; deleted by the
/// node that asked, when it has read it.
inline constexpr const char* kAnswerPrefix = "answer/";  ///< + the request's id

/// What became of a request.
struct Answer {
  std::string id;
  bool served = false;
  std::string why;  ///< not served: why not

  bool operator==(const Answer&) const = default;
};

nlohmann::json to_json(const Answer& answer);
Result<Answer> answer_from(const nlohmann::json& object);

}  // namespace tfo::rotation
