// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/network_namespace.h"
#include "loader/observe/conditions.h"
#include "loader/observe/view.h"
#include "loader/result.h"

namespace tfo {

/// The server namespaces while tfod runs: sets tcp_fastopen's server bit when that is due, notices
/// namespaces that were deleted and Fast Open queues that overflow (which the kernel only counts).
class NamespaceWatch {
 public:
  using Files = std::map<std::string, std::shared_ptr<NetworkNamespace>>;  // by path

  explicit NamespaceWatch(Conditions& conditions) : conditions_(conditions) {}

  /// The files of a configuration's namespaces: those we have, and newly opened ones.
  Result<Files> open(const Config& config) const;
  void use(const Config& config, Files files);

  /// `boot_s`: seconds since boot. `keys_are_in`: do all servers of this pool hold its keys?
  void tick(int64_t boot_s, const std::function<bool(const std::string& pool)>& keys_are_in);

  std::vector<NamespaceView> view() const;

 private:
  void keep_server_bit(const NamespaceConfig& config, const NetworkNamespace& files, bool due);
  void watch_overflow(const NamespaceConfig& config, const NetworkNamespace& files);

  Conditions& conditions_;
  ServerConfig config_;
  Files files_;
  bool managed_ = false;
  std::map<std::string, uint64_t> overflows_;  // TCPFastOpenListenOverflow seen last, by path
};

}  // namespace tfo
