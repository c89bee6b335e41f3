// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace tfo::test {

namespace fs = std::filesystem;

bool shell(const std::string& command) {
  return std::system(command.c_str()) == 0;  // NOLINT(cert-env33-c): a shell is what tests ask for
}

bool wait_until(const std::function<bool()>& condition, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

PrivateNetns::PrivateNetns() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  ok_ = before_ && unshare(CLONE_NEWNET) == 0;
}

PrivateNetns::~PrivateNetns() {
  if (ok_) (void)setns(before_.get(), CLONE_NEWNET);
}

bool PrivateNetns::add_veth(const std::string& name) const {
  const std::string peer = name + "_peer";
  return shell("ip link add " + name + " type veth peer name " + peer + " && ip link set " + name +
               " addrgenmode none up && ip link set " + peer + " addrgenmode none up");
}

PrivateBpffs::PrivateBpffs() {
  std::string name = (fs::temp_directory_path() / "tfo_bpffs_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) return;
  directory_ = name;
  ok_ =
      mkdir(root().c_str(), 0700) == 0 && mount("bpf", root().c_str(), "bpf", 0, "mode=0700") == 0;
}

PrivateBpffs::~PrivateBpffs() {
  if (ok_) umount2(root().c_str(), MNT_DETACH);
  std::error_code ignored;
  if (!directory_.empty()) fs::remove_all(directory_, ignored);
}

}  // namespace tfo::test
