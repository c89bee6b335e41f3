// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tfo::test {

Result<> run_program(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int err = posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (err != 0) return fail_errno(command.front(), err);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return fail_errno("waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(fmt::format("{}: status {}", fmt::join(command, " "), status));
}

Result<NetNs> NetNs::create(const std::string& name) {
  const std::string unique = fmt::format("{}-{}", name, getpid());
  if (auto done = run_program({"ip", "netns", "add", unique}); !done) {
    return tl::unexpected(done.error());
  }
  const int fd = open(("/run/netns/" + unique).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno("opening network namespace " + unique);
  return NetNs(unique, fd);
}

NetNs::NetNs(NetNs&& other) noexcept : name_(std::move(other.name_)), fd_(other.fd_) {
  other.fd_ = -1;
}

NetNs::~NetNs() {
  if (fd_ < 0) return;
  close(fd_);
  const auto gone = run_program({"ip", "netns", "del", name_});
  if (!gone) fmt::print(stderr, "{}\n", gone.error().message);
}

Result<> NetNs::ip(const std::string& words) const {
  std::vector<std::string> command = {"ip", "-n", name_};
  std::istringstream stream(words);
  for (std::string word; stream >> word;) command.push_back(word);
  return run_program(command);
}

Result<> NetNs::sysctl(const std::string& path, const std::string& value) const {
  const Inside inside(*this);
  const std::string file = "/proc/sys/net/" + path;
  std::ofstream stream(file);
  stream << value << std::flush;
  if (!stream) return fail("cannot write " + file + " in " + name_);
  return {};
}

NetNs::Inside::Inside(const NetNs& ns)
    : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (home_ < 0 || setns(ns.fd_, CLONE_NEWNET) != 0) {
    fmt::print(stderr, "cannot enter network namespace {}\n", ns.name_);
    std::abort();
  }
}

NetNs::Inside::~Inside() {
  if (setns(home_, CLONE_NEWNET) != 0) std::abort();
  close(home_);
}

}  // namespace tfo::test
