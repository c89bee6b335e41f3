// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/resident.h"

#include <sched.h>

#include <future>

#include "loader/privileges.h"

namespace tfo {

Result<std::unique_ptr<Resident>> Resident::enter(int netns) {
  std::unique_ptr<Resident> made(new Resident());
  std::promise<Result<>> entered;
  auto answer = entered.get_future();
  made->thread_ = std::thread([&entered, netns, resident = made.get()] {
    Result<> done;
    if (setns(netns, CLONE_NEWNET) != 0) done = fail_errno("cannot enter it");
    if (done) done = drop_privileges();
    const bool stay = done.has_value();
    entered.set_value(std::move(done));
    if (stay) resident->live();
  });
  if (auto done = answer.get(); !done) return tl::unexpected(done.error());
  return made;
}

Resident::~Resident() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Resident::run(const std::function<void()>& work) {
  std::unique_lock lock(mutex_);
  work_ = &work;
  changed_.notify_all();
  changed_.wait(lock, [this] { return work_ == nullptr; });
}

void Resident::live() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return leaving_ || work_ != nullptr; });
    if (leaving_) return;
    if (work_ != nullptr) (*work_)();
    work_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace tfo
