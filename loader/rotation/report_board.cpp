// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/report_board.h"

#include <string_view>
#include <utility>

#include "loader/etcd/pages.h"

namespace tfo::rotation {
namespace {

constexpr std::chrono::milliseconds kRetry{2000};
/// After a rotation's step a thousand nodes acknowledge at once: not each is a sum of its own.
constexpr std::chrono::milliseconds kBetween{20};
/// A watch would bring every acknowledgement of every step of a rotation to every validator.
constexpr std::chrono::milliseconds kEach{50};

}  // namespace

Result<> ReportBoard::start() {
  auto timer = site_.loop.timer([this] { load(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  auto sum_timer = site_.loop.timer([this] { sum(); });
  if (!sum_timer) return tl::unexpected(sum_timer.error());
  sum_timer_ = std::move(*sum_timer);
  return {};
}

void ReportBoard::take(const Reading&) {
  if (!site_.settings.balancer) return;
  if (!std::exchange(begun_, true)) return load();
  look_for_farewells();
  sum_soon();  // the document may have forgotten a node
}

void ReportBoard::begin_again() {
  if (begun_) load();
}

void ReportBoard::load() {
  timer_.stop();
  etcd::Range all;
  all.key = site_.key(kAckPrefix);
  all.range_end = etcd::prefix_end(all.key);
  call_ = etcd::range_by_pages(*site_.client, std::move(all),
                               [this](const auto& reply) { loaded(reply); });
}

void ReportBoard::loaded(const etcd::Outcome<etcd::RangeReply>& reply) {
  if (!reply) {
    site_.tell(reply.error());
    return timer_.start(kRetry + random_part(kRetry));
  }
  for (const auto& [node, part] : parts_) gone(node);
  for (const etcd::KeyValue& record : reply->kvs) put(record);
  look_for_farewells();
  sum_soon();
  const auto pause = site_.poll() + kEach * static_cast<int64_t>(reply->kvs.size());
  timer_.start(pause - random_part(pause / 8));
}

/// Until a node's acknowledgement can be read again, what it said before stands: nobody must be
/// able to lower the limits by spoiling it.
void ReportBoard::put(const etcd::KeyValue& record) {
  const std::string name = record.key.substr(site_.key("").size());
  const std::string node = name.substr(std::string_view(kAckPrefix).size());
  gone_.erase(node);
  if (const auto known = parts_.find(node); known != parts_.end()) known->second.recorded = true;
  const auto opened = site_.open(name, record.value);
  if (!opened) return;
  auto ack =
      ack_from(nlohmann::json::parse(opened->text.begin(), opened->text.end(), nullptr, false));
  if (!ack || name != kAckPrefix + ack->node) return;
  if (orders_[ack->node].look(*ack) == AckOrder::Age::kOld) return;
  parts_[ack->node] = {ack->counter, report_of(*ack)};
}

void ReportBoard::gone(const std::string& node) {
  const auto known = parts_.find(node);
  if (known == parts_.end()) return;
  known->second.recorded = false;
  gone_.insert(node);
}

/// One after the other: seldom is there more than one.
void ReportBoard::look_for_farewells() {
  if (gone_.empty() || looking_) return;
  const std::string node = *gone_.begin();
  etcd::Range one;
  one.key = site_.key(kLeftPrefix + node);
  looking_ = true;
  farewell_call_ =
      etcd::range(*site_.client, one, [this, node](const auto& reply) { farewell(node, reply); });
}

void ReportBoard::farewell(const std::string& node, const etcd::Outcome<etcd::RangeReply>& reply) {
  looking_ = false;
  if (!reply) return;  // again at the next reading
  const auto part = parts_.find(node);
  if (gone_.erase(node) > 0 && part != parts_.end() && !reply->kvs.empty()) {
    const auto opened = site_.open_any(kLeftPrefix + node, reply->kvs.front().value);
    // An older one was put back by somebody else: the node has acknowledged something since.
    if (opened && opened->counter >= part->second.counter) {
      parts_.erase(part);
      sum_soon();
    }
  }
  look_for_farewells();
}

void ReportBoard::sum_soon() {
  if (std::exchange(summing_, true)) return;
  sum_timer_.start(kBetween);
}

void ReportBoard::sum() {
  summing_ = false;
  // One that joins again acknowledges before the document takes it back.
  const auto& forgotten = site_.known().forgotten;
  std::erase_if(parts_, [&](const auto& one) {
    return !one.second.recorded && forgotten.contains(one.first);
  });
  FarmReports now;
  for (const auto& [node, part] : parts_) {
    if (!forgotten.contains(node)) add(now, part.report);
  }
  if (now == reports_) return;
  reports_ = now;
  changed_();
}

}  // namespace tfo::rotation
