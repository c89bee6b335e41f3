// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace tfo {

/// Levels of the journal that we use.
enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Sends this process's log to the journal if standard error is a journal stream (systemd sets
/// JOURNAL_STREAM to its device and inode; systemd.exec(5)), else to standard error as lines
/// "LEVEL: message". `level` is Config::log_level. May be called again to change the level. This is
/// spdlog's default logger too, through which libbpf's messages come, one level below its own idea.
void start_log(std::string_view level);

/// Text for people. Never pass a key, a cookie or the text of a file that may hold one; what looks
/// like a key is left out (without_keys()).
void log_line(LogLevel level, std::string_view text);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tfo
