// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/window.h"

#include <algorithm>

namespace tfo::alert {
namespace {

constexpr int64_t kSecondMs = 1000;
constexpr int64_t kReadings = 60;
constexpr int64_t kPart = 600 * kSecondMs;
constexpr size_t kParts = 144;

}  // namespace

Window::Window(std::chrono::seconds length)
    : length_(length.count() * kSecondMs), slot_(std::max(kSecondMs, length_ / kReadings)) {}

void Window::add(int64_t now, uint64_t count, uint64_t total) {
  if (!readings_.empty()) {
    const Reading& last = readings_.back();
    if (count < last.count || total < last.total) readings_.clear();
  }
  if (readings_.empty()) since_ = now;
  const size_t size = readings_.size();
  const bool still =
      size > 0 && readings_.front().count == count && readings_.front().total == total;
  if (still) {
    readings_.assign(1, {now, count, total});
    return;
  }
  // The newest one moves along until a slot is full.
  if (size >= 2 && now - readings_[size - 2].at < slot_) {
    readings_.back() = {now, count, total};
  } else {
    readings_.push_back({now, count, total});
  }
  size_t gone = 0;
  while (gone + 1 < readings_.size() && readings_[gone + 1].at <= now - length_) ++gone;
  readings_.erase(readings_.begin(), readings_.begin() + static_cast<std::ptrdiff_t>(gone));
}

uint64_t Window::count() const {
  return readings_.empty() ? 0 : readings_.back().count - readings_.front().count;
}

uint64_t Window::total() const {
  return readings_.empty() ? 0 : readings_.back().total - readings_.front().total;
}

double Window::rate() const {
  if (readings_.empty()) return 0;
  const int64_t span = std::max(length_, readings_.back().at - readings_.front().at);
  return static_cast<double>(count()) * kSecondMs / static_cast<double>(span);
}

double Window::share() const {
  if (count() >= total()) return count() == 0 ? 0 : 1;
  return static_cast<double>(count()) / static_cast<double>(total());
}

void Baseline::add(int64_t span, double value) {
  sum_ += value * static_cast<double>(span);
  span_ += span;
  if (span_ >= kPart) close_part();
}

void Baseline::close_part() {
  const auto mean = static_cast<float>(sum_ / static_cast<double>(span_));
  sum_ = 0;
  span_ = 0;
  if (means_.size() < kParts) {
    means_.push_back(mean);
  } else {
    means_[next_] = mean;
  }
  next_ = (next_ + 1) % kParts;
  std::vector<float> sorted = means_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  median_ = *middle;
}

}  // namespace tfo::alert
