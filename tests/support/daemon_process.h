// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace tfo::test {

/// A tfod of its own in this process's network namespace. Killed (SIGKILL) at the end.
class DaemonProcess {
 public:
  /// `program`: path of the binary. Its log goes to `log`.
  DaemonProcess(std::filesystem::path program, std::filesystem::path config,
                std::filesystem::path log);
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;
  ~DaemonProcess() { kill9(); }

  /// Starts it, at once or after kill9().
  void start();
  void kill9();
  bool running();
  /// Waits until it answers on its control socket.
  bool wait_ready(const std::filesystem::path& socket, double seconds = 30);
  std::string log_text() const;

 private:
  std::filesystem::path program_;
  std::filesystem::path config_;
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

}  // namespace tfo::test
