// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/alert/rule.h"
#include "loader/alert/sink.h"
#include "loader/alert/view.h"
#include "loader/etcd/http.h"
#include "loader/event_loop.h"
#include "loader/result.h"

namespace tfo::alert {

/// "http://host:9093/path" without what stands for itself; refused: other schemes, a user or a
/// password in it, a query. Errors are what is wrong with the text, which they do not repeat.
Result<std::string> alertmanager_url(const std::string& text);

/// One element of the body of POST /api/v2/alerts (Alertmanager's api/v2/openapi.yaml,
/// postableAlert). Labels are rule, kind, victim, severity, instance and pool, the last three words
/// of which never change while it is raised, but for the severity. `runbooks`: what the annotation
/// runbook_url begins with. `ends_at` in unix seconds.
nlohmann::json alertmanager_item(const Alert& alert, const std::string& instance,
                                 const std::string& runbooks, int64_t ends_at);

/// Posts alerts of the configured kinds to every peer of an Alertmanager. All that is raised goes
/// again and again with the time it began and an end a while ahead, so that a peer that was
/// restarted knows it, and one that hears no more of us resolves it. What was cleared goes until
/// the peer has taken it at a time, by its own clock, that is past the end: before, it takes the
/// end for none and keeps the later one that it knew. One that does not tell the time is told for
/// `expires` longer. A peer that is away holds up nothing and nobody else.
class Alertmanager : public Sink {
 public:
  struct Timing {
    std::chrono::milliseconds backoff{1000};  // after the first failure; doubled up to the resend
    std::chrono::milliseconds timeout{10'000};
  };
  static constexpr size_t kMostResolved = 256;  // of each peer; the rest ends by its end

  /// `instance` is the label.
  static Result<std::unique_ptr<Alertmanager>> create(EventLoop& loop,
                                                      const AlertmanagerConfig& config,
                                                      std::string instance, Timing timing);
  ~Alertmanager() override;
  Alertmanager(const Alertmanager&) = delete;
  Alertmanager& operator=(const Alertmanager&) = delete;

  void take(const Change& change) override;
  void tick(Instant now, const std::vector<Alert>& raised) override;

  std::vector<PeerStatus> peers() const;

 private:
  struct Peer;
  Alertmanager(std::string instance, const AlertmanagerConfig& config, Timing timing);
  bool wants(const Alert& alert) const;
  void resolve(Alert alert, Severity severity, int64_t at);
  void post(Peer& peer, const std::vector<Alert>& active);
  void answered(Peer& peer, const tl::expected<etcd::HttpReply, etcd::BrokenTransfer>& reply);

  std::string instance_;
  std::string runbooks_;
  std::vector<std::string> kinds_;
  std::chrono::milliseconds resend_;
  std::chrono::milliseconds expires_;
  Timing timing_;
  Instant now_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::unique_ptr<etcd::HttpTransport> transport_;
};

}  // namespace tfo::alert
