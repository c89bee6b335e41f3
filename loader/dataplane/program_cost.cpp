// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/program_cost.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <optional>

namespace tfo {
namespace {

std::optional<bpf_prog_info> info_of(int program_fd) {
  bpf_prog_info info{};
  __u32 size = sizeof(info);
  if (program_fd < 0 || bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0) return std::nullopt;
  return info;
}

}  // namespace

ProgramCost program_cost(int program_fd) {
  const auto info = info_of(program_fd);
  if (!info) return {};
  return {.runs = info->run_cnt, .ns = info->run_time_ns};
}

std::string program_tag(int program_fd) {
  const auto info = info_of(program_fd);
  return info ? fmt::format("{:02x}", fmt::join(info->tag, "")) : "";
}

bool bpf_stats_enabled() {
  std::ifstream file("/proc/sys/kernel/bpf_stats_enabled");
  int enabled = 0;
  return file >> enabled && enabled != 0;
}

}  // namespace tfo
