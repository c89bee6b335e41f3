// SPDX-License-Identifier: BSD-2-Clause
#include "loader/tfod.h"

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "loader/alert/command_hook.h"
#include "loader/config.h"
#include "loader/daemon.h"
#include "loader/keys/redact.h"
#include "loader/log.h"
#include "loader/no_core_dump.h"
#include "loader/observe/http_tls.h"
#include "loader/privileges.h"

namespace tfo {
namespace {

constexpr int kFailure = 2;

constexpr char kMore[] =
    "\nExamples:\n"
    "  tfod --config /etc/tfoguard/tfod.json --check\n"
    "  tfod --config /etc/tfoguard/tfod.json\n"
    "  kill -HUP $(pidof tfod)     # take the changed configuration\n"
    "\nSIGTERM ends it; what it attached goes on validating until `tfoctl detach`.\n"
    "\nExit codes: 0 success, 2 wrong usage or a failure.\n";

int run(Config config, const std::string& file, const Clock& clock) {
  // Each thread of HTTP would keep a pool of its own, as large as the largest page that it made.
  mallopt(M_ARENA_MAX, 2);
  // Such a page goes back to the system as a whole; else malloc comes to keep one or two.
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  start_log(config.log_level);
  if (auto hard = harden_process(); !hard) {
    log_error("{}", hard.error().message);
    return kFailure;
  }
  auto daemon = Daemon::start(std::move(config), file, clock);
  if (!daemon) {
    log_error("{}", daemon.error().message);
    return kFailure;
  }
  return (*daemon)->run() == 0 ? 0 : kFailure;
}

/// The files that a good configuration names are there, too, as tfod wants them.
Result<> check_files(const Config& config) {
  if (config.http && config.http->tls) {
    if (const auto read = read_certificates(*config.http->tls); !read) {
      return tl::unexpected(read.error());
    }
  }
  const std::string& command = config.alerts.command.path;
  return command.empty() ? Result<>() : alert::check_command(command);
}

int serve(int argc, char** argv, const Clock& clock) {
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
    const std::string text = without_keys(error.what());
    std::fprintf(stderr, "tfod: %s; see `tfod --help`\n", text.c_str());
    return kFailure;
  }
  ConfigResult config = load_config(file);
  if (!config) {
    for (const ConfigError& error : config.error()) {
      std::fprintf(stderr, "%s\n", error.text().c_str());
    }
    return kFailure;
  }
  if (!check) return run(std::move(*config), file, clock);
  if (const auto files = check_files(*config); !files) {
    std::fprintf(stderr, "%s\n", without_keys(files.error().message).c_str());
    return kFailure;
  }
  std::fprintf(stderr, "%s: no errors\n", file.c_str());
  return 0;
}

}  // namespace

int run_tfod(int argc, char** argv, const Clock& clock) {
  if (auto safe = forbid_core_dumps(); !safe) {
    std::fprintf(stderr, "tfod: %s\n", safe.error().message.c_str());
    return kFailure;
  }
  try {
    return serve(argc, argv, clock);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tfod: %s\n", without_keys(error.what()).c_str());
    return kFailure;
  }
}

}  // namespace tfo
