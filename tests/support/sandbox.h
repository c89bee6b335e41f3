// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "loader/dataplane/fd.h"

namespace tfo::test {

/// Runs a shell command; true if it exits 0. Its output goes to the test's.
bool shell(const std::string& command);

/// Waits until `condition` holds, at most `seconds`; returns its last value.
bool wait_until(const std::function<bool()>& condition, double seconds = 10);

/// A network namespace of this process alone, without a name; the old one is entered again at the
/// end. Interfaces made in it go with it.
class PrivateNetns {
 public:
  PrivateNetns();
  PrivateNetns(const PrivateNetns&) = delete;
  PrivateNetns& operator=(const PrivateNetns&) = delete;
  ~PrivateNetns();
  bool ok() const { return ok_; }

  /// A veth pair NAME and NAME_peer, both up, without IPv6 chatter.
  bool add_veth(const std::string& name) const;

 private:
  Fd before_;
  bool ok_ = false;
};

/// A directory under TMPDIR with a bpffs of its own in it; both go at the end.
class PrivateBpffs {
 public:
  PrivateBpffs();
  PrivateBpffs(const PrivateBpffs&) = delete;
  PrivateBpffs& operator=(const PrivateBpffs&) = delete;
  ~PrivateBpffs();
  bool ok() const { return ok_; }
  /// Where it is mounted.
  std::filesystem::path root() const { return directory_ / "bpf"; }
  /// A plain directory beside it.
  const std::filesystem::path& directory() const { return directory_; }
  /// The pin directory of an instance.
  std::filesystem::path pins(const std::string& instance = "test") const {
    return root() / "tfoguard" / instance;
  }

 private:
  std::filesystem::path directory_;
  bool ok_ = false;
};

}  // namespace tfo::test
