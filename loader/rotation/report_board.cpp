// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/report_board.h"

#include <utility>

namespace tfo::rotation {
namespace {

constexpr std::chrono::milliseconds kRetry{2000};

}  // namespace

Result<> ReportBoard::start() {
  auto timer = site_.loop.timer([this] { load(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  return {};
}

void ReportBoard::take(const Reading&) {
  if (site_.settings.balancer && !std::exchange(begun_, true)) load();
}

void ReportBoard::begin_again() {
  if (begun_) load();
}

void ReportBoard::load() {
  watch_.reset();
  timer_.stop();
  etcd::Range all;
  all.key = site_.key(kAckPrefix);
  all.range_end = etcd::prefix_end(all.key);
  call_ = etcd::range(*site_.client, all, [this](const auto& reply) { loaded(reply); });
}

void ReportBoard::loaded(const etcd::Outcome<etcd::RangeReply>& reply) {
  if (!reply) return timer_.start(kRetry + random_part(kRetry));
  const auto before = std::exchange(acks_, {});
  for (const etcd::KeyValue& record : reply->kvs) {
    const auto known = before.find(record.key.substr(site_.key(kAckPrefix).size()));
    if (known != before.end()) acks_.insert(*known);
    put(record);
  }
  sum();
  const std::string prefix = site_.key(kAckPrefix);
  auto watch = etcd::Watch::open(*site_.client,
                                 {prefix, etcd::prefix_end(prefix), reply->header.revision + 1},
                                 [this](const etcd::WatchNotice& notice) { noticed(notice); });
  if (!watch) return timer_.start(kRetry + random_part(kRetry));
  watch_ = std::move(*watch);
}

void ReportBoard::noticed(const etcd::WatchNotice& notice) {
  for (const auto& event : notice.events) {
    if (event.deleted) {
      acks_.erase(event.kv.key.substr(site_.key(kAckPrefix).size()));
    } else {
      put(event.kv);
    }
  }
  if (!notice.events.empty()) sum();
  if (notice.ended() || notice.behind) timer_.start(random_part(kRetry));
}

/// Until a node's acknowledgement can be read again, what it said before stands: nobody must be
/// able to lower the limits by spoiling it.
void ReportBoard::put(const etcd::KeyValue& record) {
  const std::string name = record.key.substr(site_.key("").size());
  const auto opened = site_.open(name, record.value);
  if (!opened) return;
  auto ack =
      ack_from(nlohmann::json::parse(opened->text.begin(), opened->text.end(), nullptr, false));
  if (ack && name == kAckPrefix + ack->node) acks_[ack->node] = std::move(*ack);
}

void ReportBoard::sum() {
  FarmReports now = add_up(acks_);
  if (now == reports_) return;
  reports_ = now;
  changed_();
}

}  // namespace tfo::rotation
