// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/reason_table.h"

namespace tfo {
namespace {

struct Row {
  std::string_view label;
  std::string_view sentence;
};

constexpr Row kRows[] = {
#define TFO_REASON_ROW(id, name, label, sentence) {label, sentence},
    TFO_REASONS(TFO_REASON_ROW)
#undef TFO_REASON_ROW
};

bool of_a_vip(unsigned reason) { return reason > TFO_NOT_VIP && reason != TFO_INTERNAL_ERROR; }

/// A Fast Open option was in the SYN: every reason that speaks of one.
bool has_option(unsigned reason) { return reason >= TFO_REQUEST && reason <= TFO_NO_KEY; }

std::vector<Cell> make_vip_cells() {
  std::vector<Cell> cells;
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    if (!of_a_vip(reason)) continue;
    if (!has_option(reason)) {
      cells.push_back({reason, TFO_OPTION_NONE, reason == TFO_DATA_NO_OPTION ? 1u : 0u});
      continue;
    }
    for (unsigned option = TFO_OPTION_34; option < TFO_OPTION_KINDS; ++option) {
      cells.push_back({reason, option, 0});
      cells.push_back({reason, option, 1});
    }
  }
  cells.push_back({TFO_INTERNAL_ERROR, TFO_OPTION_NONE, 0});
  return cells;
}

std::vector<Cell> make_node_cells() {
  std::vector<Cell> cells;
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    // Live, TFO_OTHER is not counted: see struct tfo_load_config.
    if (of_a_vip(reason) || reason == TFO_OTHER) continue;
    cells.push_back({reason, TFO_OPTION_NONE, 0});
  }
  return cells;
}

}  // namespace

std::string_view reason_label(unsigned reason) { return kRows[reason].label; }
std::string_view reason_sentence(unsigned reason) { return kRows[reason].sentence; }

std::string_view option_label(unsigned option) {
  constexpr std::string_view labels[] = {"none", "34", "254"};
  return labels[option];
}

std::string_view action_label(unsigned action) {
  constexpr std::string_view labels[] = {"pass", "renew", "demote", "drop"};
  return labels[action];
}

const std::vector<Cell>& vip_cells() {
  static const std::vector<Cell> cells = make_vip_cells();
  return cells;
}

const std::vector<Cell>& node_cells() {
  static const std::vector<Cell> cells = make_node_cells();
  return cells;
}

}  // namespace tfo
