// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/rotation/acknowledgement.h"
#include "loader/rotation/agent.h"
#include "loader/rotation/asker.h"
#include "loader/rotation/candidate.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/membership.h"
#include "loader/rotation/presence.h"
#include "loader/rotation/report_board.h"
#include "loader/rotation/roster.h"
#include "loader/rotation/rotator.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// The parts of an agent, and what one tells the others.
class AgentImpl : public Agent {
 public:
  AgentImpl(std::unique_ptr<Site> site, Changed changed);
  Result<> prepare();

  void start() override;
  const std::optional<Document>& document() const override { return site_->document; }
  const std::set<uint64_t>& lost() const override { return site_->remembered.lost; }
  int64_t trusted_until() const override;
  void confirm(const Applied& applied) override { acknowledgement_.confirm(applied); }
  bool may_open() const override;
  std::vector<StoreTrouble> troubles() const override { return site_->troubles.list(); }
  Result<std::string> ask(Request request) override;
  nlohmann::json status() const override;
  void refresh() override;
  FarmReports reports() const override { return board_.reports(); }
  Tally tally() const override;
  Result<nlohmann::json> adopt() override { return follower_.adopt(); }
  void leave(std::function<void(Result<>)> done) override;

  /// Something that the owner looks at may be another.
  void changed_soon();

 private:
  void read(const Reading& reading);
  void document_changed();
  void membership_changed();
  void lease_changed();
  void rolled_back();
  void revoke_again();
  void refreshed(const etcd::Outcome<etcd::RangeReply>& reply);
  const Roster& roster() const;
  void say_farewell(std::function<void(Result<>)> done, int64_t lease);
  void left(const std::function<void(Result<>)>& done, const etcd::Outcome<etcd::TxnReply>& reply);

  std::unique_ptr<Site> site_;
  Changed changed_;
  Follower follower_;
  Presence presence_;
  Membership membership_;
  Acknowledgement acknowledgement_;
  Candidate candidate_;
  Rotator rotator_;
  Asker asker_;
  ReportBoard board_;
  Roster roster_;  ///< as of the last refresh()
  EndingCounter endings_;
  EventLoop::Source changed_timer_;
  EventLoop::Source revoke_timer_;
  etcd::Call refresh_call_;
  etcd::Call leave_call_;
  bool refreshing_ = false;
  bool revoking_ = false;  ///< revoke_timer_ runs
  bool started_ = false;
};

}  // namespace tfo::rotation
