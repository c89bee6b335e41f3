// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "loader/etcd/config.h"

namespace tfo::test {

/// A real etcd of three members on loopback addresses of its own (127.x.y.1 to .3), with its data
/// in memory. Members are killed and all files removed at the end.
class EtcdCluster {
 public:
  static constexpr size_t kMembers = 3;

  /// With `tls`: server and client certificates of a throwaway authority, clients without one are
  /// refused. Elections take 0.5 to 1 s.
  explicit EtcdCluster(bool tls = false);
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;
  ~EtcdCluster();

  /// Do all members answer that they are healthy (a write goes through)?
  bool wait_healthy(double seconds = 30) const;
  bool wait_member(size_t member, double seconds = 30) const;

  std::string endpoint(size_t member) const;
  /// All endpoints, `first` first in use; with the certificates if there are any. Times are short.
  etcd::Config config(size_t first = 0) const;
  std::filesystem::path path(const std::string& name) const { return directory_ / name; }
  /// Index of the leader as `asked` sees it; kMembers: none.
  size_t leader(size_t asked) const;

  void kill9(size_t member);
  void freeze(size_t member);
  void thaw(size_t member);
  /// After kill9(), with the data it had.
  void restart(size_t member);
  /// Writes a snapshot of what `member` has to path(name).
  bool save(size_t member, const std::string& name) const;
  /// Kills all, makes their data anew from the snapshot, and starts them again.
  bool restore(const std::string& name);
  /// What the member tells Prometheus.
  std::string metrics(size_t member) const { return get(member, "/metrics", ""); }
  /// What the members have written to their logs.
  std::string logs() const;

 private:
  std::string address(size_t member) const;
  std::string peers() const;
  std::vector<std::string> arguments(size_t member) const;
  void start(size_t member);
  bool make_certificates() const;
  std::string get(size_t member, const std::string& path, const std::string& body) const;

  bool tls_;
  std::string network_;  ///< "127.x.y."
  std::filesystem::path directory_;
  std::array<pid_t, kMembers> pids_{};
};

}  // namespace tfo::test
