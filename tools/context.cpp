// SPDX-License-Identifier: BSD-2-Clause
#include "tools/context.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "loader/keys/redact.h"
#include "tools/text_table.h"

namespace tfo {

void set_up_log() {
  spdlog::set_default_logger(spdlog::stderr_logger_st("tfoctl"));
  spdlog::set_pattern("%n: %l: %v");
  spdlog::set_level(spdlog::level::warn);
}

void log_everything() { spdlog::set_level(spdlog::level::debug); }

void print_json(Context& context, const nlohmann::json& document) {
  context.out << document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

int report(Context& context, const Error& error) {
  context.err << "tfoctl: " << without_keys(error.message) << '\n';
  return kExitFailed;
}

int say(Context& context, const std::string& message, int code) {
  context.err << "tfoctl: " << printable(message) << '\n';
  return code;
}

}  // namespace tfo
