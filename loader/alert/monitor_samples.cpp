// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/monitor_samples.h"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace tfo::alert {
namespace {

/// A mirror port loses and reorders, and what it loses looks like an attack.
constexpr double kMirrorDemand = 10;

Readiness readiness_of(MonitorReadiness readiness) {
  switch (readiness) {
    case MonitorReadiness::kReady:
      return Readiness::kReady;
    case MonitorReadiness::kNotWarm:
      return Readiness::kNotWarm;
    case MonitorReadiness::kUnproven:
      return Readiness::kUnproven;
  }
  return Readiness::kUnproven;
}

}  // namespace

std::vector<Sample> monitor_samples(const std::vector<MonitorReading>& readings,
                                    const tfo::Config& config) {
  std::map<std::string_view, std::string_view> pools;  // by VIP
  for (const VipConfig& vip : config.vips) pools.emplace(vip.name, vip.pool);
  std::set<std::string_view> mirrored;
  for (const DeclaredPrefix& one : config.monitor.prefixes) {
    if (one.mirror) mirrored.insert(one.name);
  }
  std::vector<Sample> samples;
  samples.reserve(readings.size());
  for (const MonitorReading& reading : readings) {
    Sample sample{.rule = reading.rule,
                  .subject = reading.subject,
                  .count = reading.count,
                  .bytes = reading.bytes,
                  .total = reading.total,
                  .sources = reading.sources,
                  .floor = reading.floor,
                  .saturated = reading.saturated,
                  .readiness = readiness_of(reading.readiness),
                  .why = reading.why,
                  .part_of = reading.part_of,
                  .evidence = reading.evidence};
    const auto pool = pools.find(reading.subject);
    if (pool != pools.end()) sample.pool = pool->second;
    if (mirrored.contains(reading.subject)) sample.demand = kMirrorDemand;
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::set<std::string, std::less<>> attacked(const std::vector<Alert>& alerts) {
  std::set<std::string, std::less<>> subjects;
  for (const Alert& alert : alerts) {
    if (alert.kind() == kReflectionKind && !alert.rule.starts_with("reflector")) {
      subjects.insert(alert.subject);
    }
  }
  return subjects;
}

}  // namespace tfo::alert
