// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/etcd/kv.h"
#include "loader/rotation/records.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// The requests that were made at this node, and what became of them. A request whose outcome is
/// not known is looked for, and put again under its own id as long as the counter that it names is
/// the current one: the farm serves an id once.
class Asker {
 public:
  Asker(Site& site, std::function<void()> changed) : site_(site), changed_(std::move(changed)) {}
  Result<> start();

  /// Its id.
  Result<std::string> ask(Request request);
  bool is_pending(Request::Kind kind);
  /// Looks for what is pending.
  void look();
  nlohmann::json status() const;

 private:
  static constexpr size_t kRemembered = 16;
  struct Asked {
    Request request;
    std::string sealed;
    bool seen = false;  ///< it was in etcd
    std::string state = "pending";
    std::string why;
  };

  std::vector<Asked*> pending();
  void put(Asked& asked);
  void looked(const std::vector<std::string>& ids, const etcd::Outcome<etcd::TxnReply>& reply);
  void judge(Asked& asked, bool there, const etcd::KeyValue* answer);
  void end(Asked& asked, const std::string& state, const std::string& why);
  Asked* find(const std::string& id);

  Site& site_;
  std::function<void()> changed_;
  EventLoop::Source timer_;
  etcd::Call put_call_;
  etcd::Call look_call_;
  etcd::Call remove_call_;
  bool putting_ = false;
  bool looking_ = false;
  std::vector<Asked> asked_;  ///< oldest first
};

}  // namespace tfo::rotation
