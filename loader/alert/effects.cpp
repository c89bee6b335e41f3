// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/effects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace tfo::alert {
namespace {

using nlohmann::json;

constexpr const char* kNames[] = {"resets_out", "syncookies_sent", "listen_overflow"};
constexpr size_t kMostHooks = 6;
constexpr const char* kUnknown = "n/a";

std::optional<uint64_t> counter(const NamespaceView& one, std::string_view metric) {
  const auto found = std::ranges::find(kKernelCounterTable, metric, &KernelCounter::metric);
  if (!one.mib || found == kKernelCounterTable.end()) return std::nullopt;
  return one.mib->at(static_cast<size_t>(found - kKernelCounterTable.begin()));
}

json hooks(const View& view) {
  json out = json::array();
  for (const InterfaceView& one : view.interfaces) {
    if (out.size() == kMostHooks) break;
    out.push_back(one.name + ": xdp " + one.mode + (one.egress ? ", tc egress" : "") +
                  (one.tracks ? ", remembers SYNs" : ""));
  }
  return out;
}

}  // namespace

void Effects::see(int64_t now_s, const std::vector<NamespaceView>& namespaces) {
  std::map<std::string, Counts> seen;
  for (const NamespaceView& one : namespaces) {
    Counts& counts = seen[one.name];
    counts = {one.resets_out, counter(one, kNames[1]), counter(one, kNames[2])};
    const auto before = last_.find(one.name);
    for (size_t i = 0; i < kCounts; i++) {
      const std::optional<uint64_t> count = counts.at(i);
      if (!count) continue;
      const auto had = before == last_.end() ? std::nullopt : before->second.at(i);
      const uint64_t more = had && *had <= *count ? *count - *had : 0;
      sum_.at(i) = sum_.at(i).value_or(0) + more;
    }
  }
  last_ = std::move(seen);
  now_ = now_s;
  if (marks_.empty() || now_s - marks_.back().at >= kStep) marks_.push_back({now_s, sum_});
  while (marks_.size() > 1 && now_s - marks_.front().at > kMemory) marks_.pop_front();
}

json Effects::since(int64_t seconds) const {
  if (marks_.empty() || last_.empty()) return kUnknown;
  Mark from = marks_.front();
  for (const Mark& mark : marks_) {
    if (now_ - mark.at >= seconds) from = mark;
  }
  json out = {{"seconds", now_ - from.at}};
  for (size_t i = 0; i < kCounts; i++) {
    if (const std::optional<uint64_t> sum = sum_.at(i)) {
      out[kNames[i]] = *sum - from.counts.at(i).value_or(0);
    } else {
      out[kNames[i]] = kUnknown;
    }
  }
  return out;
}

void add_surroundings(std::vector<Sample>& samples, const View& view, const Effects& effects) {
  for (Sample& sample : samples) {
    sample.evidence = [inner = std::move(sample.evidence), &view, &effects] {
      json out = inner ? inner() : json::object();
      out["hooks"] = hooks(view);
      const auto volume = out.find("volume");
      if (volume != out.end()) out["effect"] = effects.since(volume->value("seconds", int64_t{0}));
      return out;
    };
  }
}

}  // namespace tfo::alert
