// SPDX-License-Identifier: BSD-2-Clause
#include "loader/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "loader/keys/redact.h"

namespace tfo {
namespace {

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

spdlog::level::level_enum spdlog_level(std::string_view level) {
  if (level == "debug") return spdlog::level::debug;
  if (level == "warning") return spdlog::level::warn;
  if (level == "error") return spdlog::level::err;
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger() {
  std::shared_ptr<spdlog::logger> logger;
  if (stderr_is_journal()) {
    logger = std::make_shared<spdlog::logger>(
        "tfod", std::make_shared<spdlog::sinks::systemd_sink_mt>("tfod"));
    logger->set_pattern("%v");
  } else {
    logger =
        std::make_shared<spdlog::logger>("tfod", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%l: %v");
  }
  logger->flush_on(spdlog::level::trace);
  return logger;
}

}  // namespace

void start_log(std::string_view level) {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = make_logger();
    spdlog::set_default_logger(made);
    return made;
  }();
  logger->set_level(spdlog_level(level));
}

void log_line(LogLevel level, std::string_view text) {
  constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                  spdlog::level::warn, spdlog::level::err};
  // An error may name a file or namespace, and a key may have been written in its place.
  std::string line = without_keys(text);
  // What a peer answered must not look like another line, nor move a terminal's cursor.
  std::ranges::replace_if(line, [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
  spdlog::log(levels[static_cast<size_t>(level)], line);
}

}  // namespace tfo
