// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/libbpf_log.h"

#include <bpf/libbpf.h>
#include <spdlog/spdlog.h>

#include <cstdarg>
#include <cstdio>
#include <string>

namespace tfo {
namespace {

int print(enum libbpf_print_level level, const char* format, va_list arguments) {
  const auto as = level == LIBBPF_WARN ? spdlog::level::debug : spdlog::level::trace;
  if (!spdlog::should_log(as)) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  std::string text(static_cast<size_t>(length) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, arguments);
  text.resize(text.find_last_not_of(std::string_view("\n\0", 2)) + 1);
  spdlog::log(as, "{}", text);
  return length;
}

}  // namespace

void route_libbpf_log() { libbpf_set_print(print); }

}  // namespace tfo
