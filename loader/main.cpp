// SPDX-License-Identifier: BSD-2-Clause
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "loader/config.h"
#include "loader/daemon.h"
#include "loader/keys/redact.h"
#include "loader/log.h"
#include "loader/no_core_dump.h"
#include "loader/privileges.h"

namespace {

constexpr int kFailure = 2;

constexpr char kMore[] =
    "\nExamples:\n"
    "  tfod --config /etc/tfoguard/tfod.json --check\n"
    "  tfod --config /etc/tfoguard/tfod.json\n"
    "  kill -HUP $(pidof tfod)     # take the changed configuration\n"
    "\nSIGTERM ends it; what it attached goes on validating until `tfoctl detach`.\n"
    "\nExit codes: 0 success, 2 wrong usage or a failure.\n";

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
  CLI::App app("tfod: validates TCP Fast Open cookies in XDP and keeps the keys of a farm in step",
               "tfod");
  std::string file = "/etc/tfoguard/tfod.json";
  bool check = false;
  app.add_option("--config", file, "Configuration (JSON, comments allowed)")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_flag("--check", check, "Only check the configuration and say everything that is wrong");
  app.set_version_flag("--version", std::string("tfod ") + TFO_VERSION, "Print the version");
  app.footer(kMore);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {
    return app.exit(wanted) == 0 ? 0 : kFailure;
  } catch (const CLI::ParseError& error) {
    const std::string text = tfo::without_keys(error.what());
    std::fprintf(stderr, "tfod: %s; see `tfod --help`\n", text.c_str());
    return kFailure;
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
  if (auto safe = tfo::forbid_core_dumps(); !safe) {
    std::fprintf(stderr, "tfod: %s\n", safe.error().message.c_str());
    return kFailure;
  }
  try {
    return tfod(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tfod: %s\n", tfo::without_keys(error.what()).c_str());
    return kFailure;
  }
}
