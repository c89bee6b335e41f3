// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/verdict.h"

#include <fmt/format.h>

namespace tfo::test {
namespace {

const char* reason_label(uint32_t reason) {
  static const char* const kLabels[] = {
#define TFO_REASON_LABEL(id, name, label, sentence) label,
      TFO_REASONS(TFO_REASON_LABEL)
#undef TFO_REASON_LABEL
  };
  return reason < TFO_REASON_COUNT ? kLabels[reason] : "?";
}

}  // namespace

std::string to_string(const Verdict& v) {
  static const char* const kOptions[] = {"none", "34", "254"};
  return fmt::format("{} option={} data={} slot={}", reason_label(v.reason),
                     v.option < TFO_OPTION_KINDS ? kOptions[v.option] : "?", v.data ? 1 : 0,
                     v.slot);
}

Verdict comparable(Verdict verdict) {
  if (verdict.reason > TFO_NOT_VIP) return verdict;
  verdict.option = TFO_OPTION_NONE;
  verdict.data = false;
  return verdict;
}

}  // namespace tfo::test
