// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/attack_book.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace tfo {

bool AttackBook::make_room(std::chrono::nanoseconds now) {
  if (!full()) return true;
  const auto oldest =
      std::ranges::min_element(pages_, {}, [](const auto& page) { return page.second.last; });
  if (now - oldest->second.last < kIdle) return false;
  pages_.erase(oldest);
  return true;
}

/// Counts what the sample stands for. Noise of a week would hide an attack of a minute, and is
/// forgotten when so much more comes at once, or after a while.
bool AttackBook::is_another(Page& page, const tfo_sample& sample, std::chrono::nanoseconds now) {
  if (!page.tables || now - page.last >= kIdle) return true;
  while (now - page.step_at >= kStep) {
    page.peak = std::max(page.step, page.peak - (page.peak + 15) / 16);
    page.step = page.step_samples = 0;
    page.step_at += kStep;
  }
  page.step += sample.weight;
  page.step_samples++;
  const auto age = now - page.began;
  if (now < page.held_until && age < kWhole) return false;
  if (now >= page.held_until && age >= kTurn) return true;
  return age >= kStep && page.step_samples >= kFewest && page.step >= kSurge * page.peak;
}

void AttackBook::add(uint16_t subject, const tfo_sample& sample, std::chrono::nanoseconds now) {
  auto found = pages_.find(subject);
  if (found == pages_.end()) {
    if (!make_room(now)) return;
    found = pages_.emplace(subject, Page{}).first;
  }
  Page& page = found->second;
  if (is_another(page, sample, now)) {
    page.tables = std::make_unique<AttackTables>(seed_);
    page.began = page.step_at = now;
    page.step = sample.weight;
    page.step_samples = 1;
    page.peak = 0;
  }
  page.last = now;
  page.tables->add(sample);
}

const AttackTables* AttackBook::find(uint16_t subject) const {
  const auto found = pages_.find(subject);
  return found == pages_.end() ? nullptr : found->second.tables.get();
}

std::optional<std::chrono::nanoseconds> AttackBook::began(uint16_t subject) const {
  const auto found = pages_.find(subject);
  if (found == pages_.end() || !found->second.tables) return std::nullopt;
  return found->second.began;
}

void AttackBook::hold(uint16_t subject, std::chrono::nanoseconds now) {
  const auto found = pages_.find(subject);
  if (found != pages_.end()) found->second.held_until = now + kHold;
}

void AttackBook::review(const std::map<uint16_t, double>& lately, std::chrono::nanoseconds now) {
  if (!full()) return;
  using Weight = std::pair<double, uint16_t>;
  std::vector<Weight> inside, outside;
  for (const auto& [subject, page] : pages_) {
    const auto found = lately.find(subject);
    inside.emplace_back(found == lately.end() ? 0 : found->second, subject);
  }
  for (const auto& [subject, weight] : lately) {
    if (weight >= kWorth && !pages_.contains(subject)) outside.emplace_back(weight, subject);
  }
  std::ranges::sort(inside);
  std::ranges::sort(outside, std::greater<>());
  for (size_t i = 0; i < std::min(inside.size(), outside.size()); i++) {
    if (outside[i].first <= 2 * inside[i].first) break;
    pages_.erase(inside[i].second);
    pages_[outside[i].second].last = now;
  }
}

}  // namespace tfo
