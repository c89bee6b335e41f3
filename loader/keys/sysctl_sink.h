// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "loader/dataplane/fd.h"
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
  SysctlSink(std::string name, Fd fd) : name_(std::move(name)), fd_(std::move(fd)) {}

  Role role() const override { return Role::server; }
  std::string name() const override { return name_; }

  /// Writes "primary,backup" in one write and reads it back: the kernel cuts writes longer than 73
  /// characters and takes malformed text in parts, both without an error.
  Result<> apply(const KeyRing& ring) override;

  /// Someone else (another rotation daemon, sysctl.d) may have written since.
  Result<> verify(const KeyRing& ring) override;

  /// The namespace was deleted: the kernel has unregistered the file behind the descriptor.
  bool gone() const override { return gone_; }

  /// Empty if the namespace has no key yet (it reads as all zero; net/ipv4/sysctl_net_ipv4.c).
  Result<std::vector<Key>> held() override;

 private:
  std::string name_;
  Fd fd_;
  bool gone_ = false;
};

}  // namespace tfo
