// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/sandbox.h"

namespace tfo::test {

/// A tfod of our own in this network namespace; killed and reaped at the end if it still runs.
class TfodProcess {
 public:
  /// `wrapper` stands before the program, e.g. {"setpriv", "--bounding-set=-bpf", "--"}; `program`
  /// is the program with what stands before --config; empty: tfod.
  TfodProcess(const std::filesystem::path& config, const std::filesystem::path& log,
              const std::vector<std::string>& wrapper = {},
              const std::vector<std::string>& program = {});
  TfodProcess(const TfodProcess&) = delete;
  TfodProcess& operator=(const TfodProcess&) = delete;
  ~TfodProcess();

  pid_t pid() const { return pid_; }
  /// All it has written to standard error.
  std::string log() const;
  /// Waits until its log holds `text` (or it ended).
  bool says(const std::string& text, double seconds = 20) const;
  bool ready() const { return says(" ready\n"); }
  void signal(int number) const;
  /// Waits for its end: the exit code, 128 + N after signal N, -1 if it still runs.
  int wait(double seconds = 20);

 private:
  pid_t pid_ = -1;
  int status_ = -1;
  std::filesystem::path log_;
};

/// tfod whose clock is the system's plus what CLOCKFILE says (see tests/farm/clocked/).
std::vector<std::string> clocked_tfod(const std::filesystem::path& clock_file);

/// A network namespace with veth interfaces t0 and t1 and a bpffs, and the configuration of a tfod
/// in it, to be changed by the test before use.
class TfodSite {
 public:
  TfodSite();
  bool ok() const { return ok_; }

  nlohmann::json config;

  std::filesystem::path path(const std::string& name) const { return bpffs_.directory() / name; }
  /// Writes `config` and returns its path.
  std::filesystem::path write(const std::string& name = "tfod.json") const;
  /// One request over the control socket: the reply, or null.
  nlohmann::json ask(const nlohmann::json& request) const;
  nlohmann::json status() const { return ask({{"command", "status"}})["result"]; }
  /// What the status says of somebody whom the monitor watches; null if nobody is called so.
  nlohmann::json watched(const std::string& name) const;
  /// Is a condition with this id raised?
  bool raised(const std::string& id) const;

  const PrivateNetns& netns() const { return netns_; }
  const PrivateBpffs& bpffs() const { return bpffs_; }

 private:
  PrivateNetns netns_;
  PrivateBpffs bpffs_;
  bool ok_ = false;
};

/// Id of the XDP program on an interface; 0 = none.
unsigned xdp_program_id(const std::string& interface);

/// Attaches an XDP program "someone_else" that passes everything. Returns its id, 0 = failed.
unsigned attach_foreign_program(const std::string& interface);

/// Content of a file; empty if it cannot be read.
std::string slurp(const std::filesystem::path& path);

}  // namespace tfo::test
