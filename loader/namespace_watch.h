// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/keys/clock.h"
#include "loader/network_namespace.h"
#include "loader/observe/conditions.h"
#include "loader/observe/view.h"
#include "loader/result.h"
#include "loader/server/server_bit.h"

namespace tfo {

/// The server namespaces while tfod runs: keeps tcp_fastopen's server bit, collects what their
/// listeners can take, notices namespaces that were deleted, listeners with keys of their own, and
/// Fast Open and SYN queues that overflow (which the kernel only counts).
class NamespaceWatch {
 public:
  using Files = std::map<std::string, std::shared_ptr<NetworkNamespace>>;  // by path
  using AskPool = std::function<PoolKeys(const std::string& pool)>;

  /// Seconds between two looks at the listeners of a namespace...
  static constexpr int64_t kListeners = 10;
  /// ... and most namespaces looked at in one tick: where nobody is connected, a look walks the
  /// kernel's whole connection table, 1.6 ms for 262,144 buckets.
  static constexpr size_t kListsPerTick = 16;
  /// Seconds without a SYN cookie until syn_cookies is cleared.
  static constexpr int64_t kCookiesOver = 30;

  explicit NamespaceWatch(Conditions& conditions) : conditions_(conditions) {}

  /// The files of a configuration's namespaces: those we have, and newly opened ones.
  Result<Files> open(const Config& config);
  void use(const Config& config, Files files);
  const Files& files() const { return files_; }

  /// Namespaces (by path) that no tfod of this boot has kept before us: their server bit is not
  /// ours, and stays off until their pool may open.
  void not_ours_before(const std::set<std::string>& paths) {
    unopened_.insert(paths.begin(), paths.end());
  }

  void tick(const Moment& now, const AskPool& ask);

  /// What is known of the listeners in this pool's namespaces.
  std::vector<const ListenerReport*> listeners(const std::string& pool) const;

  /// TCPFastOpenListenOverflow of this pool's namespaces, added up, as of the last tick; nothing if
  /// none is known.
  std::optional<uint64_t> overflow(const std::string& pool) const;

  std::vector<NamespaceView> view() const;

 private:
  /// What is known of a namespace from one look to the next.
  struct Known {
    ServerBitKeeper bit;
    ListenerReport listeners;
    int64_t listed_at = -kListeners;   // boot seconds
    std::optional<uint64_t> overflow;  // TCPFastOpenListenOverflow seen last
    std::optional<uint64_t> cookies;   // TCPReqQFullDoCookies seen last
    int64_t cookies_until = 0;         // boot seconds: syn_cookies stays raised
  };

  void keep_server_bit(const NetworkNamespace& files, Known& known, const Moment& now,
                       PoolKeys keys);
  void watch_bits(const NetworkNamespace& files);
  void watch_retries(const NetworkNamespace& files);
  void list_some(const Moment& now, const AskPool& ask);
  void watch_listeners(const NetworkNamespace& files, Known& known, const PoolKeys& keys);
  void count_vips_of(const NamespaceConfig& config);
  void watch_own_keys(const Known& known, const KeyRing& ring);
  void watch_queues(const NetworkNamespace& files, Known& known, const Moment& now);
  void watch_cookies(const NetworkNamespace& files, Known& known, const Moment& now,
                     std::optional<uint64_t> count);

  Conditions& conditions_;
  ServerConfig config_;
  std::vector<VipConfig> vips_;
  Files files_;
  std::map<std::string, Known> known_;  // by path
  std::set<std::string> unopened_;      // see not_ours_before()
  size_t next_list_ = 0;                // in config_.namespaces
  bool managed_ = false;
  std::shared_ptr<const ListenerIterator> iterator_;
  bool tried_iterator_ = false;
};

}  // namespace tfo
