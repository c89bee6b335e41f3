// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "loader/config.h"
#include "loader/dataplane/fd.h"
#include "loader/keys/sink.h"
#include "loader/observe/kernel_mib.h"
#include "loader/result.h"

namespace tfo {

/// The files of one server namespace, opened once: entering another namespace needs CAP_SYS_ADMIN,
/// reading and writing through open descriptors does not.
class NetworkNamespace {
 public:
  /// `netns`: NamespaceConfig::netns. `manage`: false opens nothing for writing.
  static Result<std::shared_ptr<NetworkNamespace>> open(const std::string& netns, bool manage);

  /// "self", the name under /run/netns, or the path: the metrics' label.
  const std::string& label() const { return label_; }
  const std::string& path() const { return path_; }

  /// A new sink for the keys of this namespace. Needs `manage`.
  Result<std::unique_ptr<KeySink>> key_sink() const;
  Result<KernelMib> kernel_counters() const;

  /// net.ipv4.tcp_fastopen; bits in Documentation/networking/ip-sysctl.rst.
  Result<unsigned> fastopen_bits() const;
  Result<> set_fastopen_bits(unsigned bits) const;

  /// True once the namespace's file is no longer there or is another namespace's. The netstat
  /// descriptor keeps a deleted namespace alive (get_proc_net in fs/proc/proc_net.c), so this
  /// closes all that we hold, and the namespace and its interfaces can go.
  bool gone();

 private:
  NetworkNamespace() = default;
  Result<> open_files(bool manage);

  std::string label_;
  std::string path_;  // empty: our own
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool gone_ = false;
  Fd key_;
  Fd fastopen_;
  Fd netstat_;
};

}  // namespace tfo
