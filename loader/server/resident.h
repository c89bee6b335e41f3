// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "loader/result.h"

namespace tfo {

/// A thread that has entered a network namespace, given up its privileges as drop_privileges()
/// leaves them, and stays there for what works only from inside (opening a BPF iterator). It keeps
/// the namespace alive as long as it lives.
class Resident {
 public:
  /// `netns`: descriptor of a namespace file; not needed afterwards. Needs CAP_SYS_ADMIN now.
  static Result<std::unique_ptr<Resident>> enter(int netns);
  ~Resident();
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  /// Runs `work` there and waits for its end.
  void run(const std::function<void()>& work);

 private:
  Resident() = default;
  void live();

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace tfo
