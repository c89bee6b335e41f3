// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/fd.h"
#include "loader/dataplane/listener_iterator.h"
#include "loader/keys/sink.h"
#include "loader/observe/kernel_mib.h"
#include "loader/result.h"
#include "loader/server/resident.h"
#include "loader/server/socket_diag.h"

namespace tfo {

/// The files and sockets of one server namespace, opened once: entering another namespace needs
/// CAP_SYS_ADMIN, reading and writing through open descriptors does not. What works only from
/// inside is done by a thread that stays there.
class NetworkNamespace {
 public:
  /// `netns`: NamespaceConfig::netns. `manage`: false opens nothing for writing.
  /// `iterator`: shows the listeners' Fast Open queues; null: that is not to be had.
  static Result<std::shared_ptr<NetworkNamespace>> open(
      const std::string& netns, bool manage,
      std::shared_ptr<const ListenerIterator> iterator = nullptr);

  /// "self", the name under /run/netns, or the path: the metrics' label.
  const std::string& label() const { return label_; }
  const std::string& path() const { return path_; }

  /// A new sink for the keys of this namespace. Needs `manage`.
  Result<std::unique_ptr<KeySink>> key_sink() const;
  Result<KernelMib> kernel_counters() const;
  /// OutRsts; nothing: not known.
  std::optional<uint64_t> resets_out() const;

  /// The keys in force, primary first; empty: none yet. Needs `manage`.
  Result<std::vector<Key>> keys() const;
  /// One or two of them, read back. Needs `manage`.
  Result<> set_keys(const std::vector<Key>& keys) const;

  /// net.ipv4.tcp_fastopen; bits in Documentation/networking/ip-sysctl.rst.
  Result<unsigned> fastopen_bits() const;
  Result<> set_fastopen_bits(unsigned bits) const;

  /// net.ipv4.tcp_synack_retries; nothing: not known.
  std::optional<unsigned> synack_retries() const;

  /// Everything but the namespace's name in it, which is label(). Never fails: it says what it does
  /// not know. About 0.6 us a listener, and see NamespaceWatch::kListsPerTick.
  ListenerReport listeners() const;

  /// SocketDiag::netns_cookie().
  uint64_t cookie() const { return diag_ ? diag_->netns_cookie() : 0; }

  /// True once the namespace's file is no longer there or is another namespace's. The netstat
  /// descriptor (so do the socket and the thread) keeps a deleted namespace alive (get_proc_net in
  /// fs/proc/proc_net.c), so this closes all that we hold, and the namespace and its interfaces can
  /// go.
  bool gone();

 private:
  NetworkNamespace() = default;
  Result<> open_files(bool manage);
  Result<> open_inside(const Fd& file, bool manage);
  Result<std::vector<Listener>> iterate() const;

  std::string label_;
  std::string path_;  // empty: our own
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool gone_ = false;
  Fd key_;
  Fd fastopen_;
  Fd netstat_;
  Fd snmp_;
  Fd somaxconn_;
  Fd synack_retries_;
  std::optional<SocketDiag> diag_;
  std::unique_ptr<Resident> resident_;  // none in our own namespace
  std::shared_ptr<const ListenerIterator> iterator_;
};

}  // namespace tfo
