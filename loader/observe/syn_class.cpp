// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/syn_class.h"

#include <optional>

namespace tfo {
namespace {

std::optional<SynClass> class_of(unsigned reason) {
  switch (reason) {
    case TFO_PLAIN:
      return SynClass::kPlain;
    case TFO_REQUEST:
      return SynClass::kAsks;
    case TFO_COOKIE_CURRENT:
    case TFO_COOKIE_PREVIOUS:
    case TFO_COOKIE_STAGED:
      return SynClass::kGood;
    case TFO_COOKIE_RETIRED:
      return SynClass::kOld;
    case TFO_COOKIE_REVOKED:
    case TFO_COOKIE_INVALID:
    case TFO_COOKIE_LENGTH:
      return SynClass::kBad;
    case TFO_DATA_NO_OPTION:
    case TFO_OPTION_IGNORED:
    case TFO_NO_KEY:
    case TFO_INTERNAL_ERROR:
      return SynClass::kOther;
    default:
      return std::nullopt;
  }
}

}  // namespace

SynClasses syn_classes(const Counters& counters) {
  SynClasses sums{};
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    const auto group = class_of(reason);
    if (group) sums[static_cast<size_t>(*group)] += reason_total(counters, reason);
  }
  return sums;
}

}  // namespace tfo
