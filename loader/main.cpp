// SPDX-License-Identifier: BSD-2-Clause
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "loader/config.h"
#include "loader/daemon.h"
#include "loader/log.h"
#include "loader/privileges.h"

namespace {

constexpr int kFailure = 2;

int run(tfo::Config config, const std::string& file) {
  tfo::start_log(config.log_level);
  if (auto hard = tfo::harden_process(); !hard) {
    tfo::log_error("{}", hard.error().message);
    return kFailure;
  }
  auto daemon = tfo::Daemon::start(std::move(config), file);
  if (!daemon) {
    tfo::log_error("{}", daemon.error().message);
    return kFailure;
  }
  return (*daemon)->run() == 0 ? 0 : kFailure;
}

int tfod(int argc, char** argv) {
  CLI::App app("Validates TCP Fast Open cookies in XDP and keeps the keys of a farm in step.");
  std::string file = "/etc/tfoguard/tfod.json";
  bool check = false;
  app.add_option("--config", file, "Configuration (JSON, comments allowed)")->capture_default_str();
  app.add_flag("--check", check, "Only check the configuration and say everything that is wrong");
  app.set_version_flag("--version", TFO_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kFailure;
  }
  tfo::ConfigResult config = tfo::load_config(file);
  if (!config) {
    for (const tfo::ConfigError& error : config.error()) {
      std::fprintf(stderr, "%s\n", error.text().c_str());
    }
    return kFailure;
  }
  if (!check) return run(std::move(*config), file);
  std::fprintf(stderr, "%s: no errors\n", file.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return tfod(argc, argv);
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return kFailure;
  }
}
