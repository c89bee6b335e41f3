// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/daemon_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "loader/dataplane/fd.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

bool answers(const std::filesystem::path& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return false;
  constexpr char kRequest[] = "{\"command\": \"status\"}\n";
  char reply[16];
  return write(fd.get(), kRequest, sizeof(kRequest) - 1) > 0 && read(fd.get(), reply, 1) == 1;
}

}  // namespace

DaemonProcess::DaemonProcess(std::filesystem::path program, std::filesystem::path config,
                             std::filesystem::path log)
    : program_(std::move(program)), config_(std::move(config)), log_(std::move(log)) {}

void DaemonProcess::start() {
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0) _exit(127);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execl(program_.c_str(), program_.c_str(), "--config", config_.c_str(), nullptr);
  _exit(127);
}

void DaemonProcess::kill9() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

bool DaemonProcess::running() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

bool DaemonProcess::wait_ready(const std::filesystem::path& socket, double seconds) {
  bool ready = false;
  wait_until([&] { return (ready = answers(socket)) || !running(); }, seconds);
  return ready;
}

std::string DaemonProcess::log_text() const {
  std::ifstream file(log_);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace tfo::test
