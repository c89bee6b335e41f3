// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "loader/result.h"

namespace tfo::test {

/// Runs a program and waits for it; an error names the command if it does not exit with 0.
Result<> run_program(const std::vector<std::string>& command);

/// A network namespace of its own, named NAME-PID, gone with the object.
class NetNs {
 public:
  static Result<NetNs> create(const std::string& name);
  NetNs(NetNs&& other) noexcept;
  NetNs& operator=(NetNs&&) = delete;
  NetNs(const NetNs&) = delete;
  NetNs& operator=(const NetNs&) = delete;
  ~NetNs();

  const std::string& name() const { return name_; }
  /// ip(8) inside, words separated by single blanks.
  Result<> ip(const std::string& words) const;
  /// Writes below /proc/sys/net of this namespace.
  Result<> sysctl(const std::string& path, const std::string& value) const;

  /// The calling thread is inside as long as this lives.
  class Inside {
   public:
    explicit Inside(const NetNs& ns);
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside();

   private:
    int home_;
  };

 private:
  NetNs(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
  std::string name_;
  int fd_;
};

}  // namespace tfo::test
