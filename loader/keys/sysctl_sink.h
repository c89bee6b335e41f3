// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loader/keys/key.h"
#include "loader/keys/sink.h"
#include "loader/result.h"

namespace tfo {

/// net.ipv4.tcp_fastopen_key of one network namespace, which serves IPv4 and IPv6.
///
/// The descriptor is opened once and belongs to that namespace for good: entering another namespace
/// needs CAP_SYS_ADMIN, reading and writing through the descriptor only CAP_NET_ADMIN
/// (net_ctl_permissions in net/sysctl_net.c). So open it before privileges are dropped.
class SysctlSink : public KeySink {
 public:
  /// `netns`: empty for our own namespace, a name under /run/netns, or a path. `sysctl` is the file
  /// as seen from inside the namespace.
  static Result<std::unique_ptr<SysctlSink>> open(
      const std::string& netns = "",
      const std::string& sysctl = "/proc/sys/net/ipv4/tcp_fastopen_key");

  /// Takes over an open descriptor. `name` as in name().
  SysctlSink(std::string name, int fd);
  ~SysctlSink() override;
  SysctlSink(const SysctlSink&) = delete;
  SysctlSink& operator=(const SysctlSink&) = delete;

  Role role() const override { return Role::server; }
  std::string name() const override { return name_; }

  /// Writes "primary,backup" in one write and reads it back: the kernel cuts writes longer than 73
  /// characters and takes malformed text in parts, both without an error.
  Result<> apply(const KeyRing& ring) override;

  /// Someone else (another rotation daemon, sysctl.d) may have written since.
  Result<> verify(const KeyRing& ring) override;

  /// The namespace was deleted: the kernel has unregistered the file behind the descriptor.
  bool gone() const override { return gone_; }

  /// The keys that the namespace holds now, primary first; empty if it has none (reads as zero).
  Result<std::vector<Key>> read();

 private:
  Result<Secret> read_text();

  std::string name_;
  int fd_;
  bool gone_ = false;
};

}  // namespace tfo
