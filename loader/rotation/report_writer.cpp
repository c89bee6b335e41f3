// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/report_writer.h"

#include <algorithm>
#include <utility>

#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kBetweenReports = 1'000;  // ms
constexpr int64_t kRenewed = 60'000;        // ms
constexpr milliseconds kRetryReport{2000};

bool same_but_age(const FarmReports& a, FarmReports b) {
  b.oldest_at = a.oldest_at;
  return a == b;
}

}  // namespace

etcd::Compare still_leader(const Site& site, int64_t create_revision) {
  etcd::Compare ours;
  ours.key = site.key(kLeader);
  ours.target = etcd::Compare::Target::kCreate;
  ours.number = create_revision;
  return ours;
}

Result<> ReportWriter::start() {
  auto timer = site_.loop.timer([this] { check(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  return {};
}

void ReportWriter::lead(int64_t create_revision) {
  create_revision_ = create_revision;
  busy_ = pending_ = complete_ = false;
  checked_at_ = boot_ms() - kBetweenReports;
}

void ReportWriter::stop() {
  create_revision_ = 0;
  timer_.stop();
  call_.reset();
}

/// Of a thousand acknowledgements not each by itself.
void ReportWriter::look(bool complete) {
  complete_ = complete;
  if (create_revision_ == 0 || busy_ || std::exchange(pending_, true)) return;
  timer_.start(milliseconds(std::max<int64_t>(0, checked_at_ + kBetweenReports - boot_ms())));
}

void ReportWriter::check() {
  pending_ = false;
  if (create_revision_ == 0 || busy_) return;
  checked_at_ = boot_ms();
  const auto& record = roster_.report_record();
  if (record) {
    // One that was put back is older than what this node has seen.
    const bool newest = record->at >= newest_;
    newest_ = std::max(newest_, record->at);
    if (!complete_) return;  // the next look is when it is
    const FarmReports sums = roster_.reports();
    if (newest && record->sums == sums) return;
    const int64_t left = written_at_ + kRenewed - checked_at_;
    if (newest && left > 0 && same_but_age(record->sums, sums)) {
      return timer_.start(milliseconds(left));
    }
  }
  write();
}

void ReportWriter::write() {
  const Moment now = site_.clock.now();
  ReportRecord record;
  record.at = std::max(now.unix_s * 1000 + now.unix_ns / 1'000'000, newest_ + 1);
  record.sums = roster_.reports();
  const auto sealed = site_.seal(kReports, site_.known().counter, to_json(record).dump());
  if (!sealed) return timer_.start(site_.poll());
  etcd::Txn txn;
  txn.when = {still_leader(site_, create_revision_)};
  txn.then = {etcd::Put{site_.key(kReports), *sealed, 0}};
  busy_ = true;
  written_at_ = boot_ms();
  call_ = etcd::txn(*site_.client, txn, [this](const auto& reply) { wrote(reply); });
}

/// What was done comes by the watch; what was not is another look's.
void ReportWriter::wrote(const etcd::Outcome<etcd::TxnReply>& reply) {
  busy_ = false;
  pending_ = true;
  timer_.start(reply ? milliseconds(kBetweenReports) : kRetryReport + random_part(kRetryReport));
}

}  // namespace tfo::rotation
