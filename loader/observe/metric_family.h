// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loader/observe/view.h"

namespace tfo {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;
using Families = std::vector<prometheus::MetricFamily>;

/// A family that is being filled.
class Family {
 public:
  Family(std::string name, std::string help, prometheus::MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  void add(MetricLabels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    metric.gauge.value = value;
    family_.metric.push_back(std::move(metric));
  }

  void add_histogram(MetricLabels labels, const prometheus::ClientMetric::Histogram& histogram) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.histogram = histogram;
    family_.metric.push_back(std::move(metric));
  }

  prometheus::MetricFamily take() { return std::move(family_); }

 private:
  prometheus::MetricFamily family_;
};

inline std::string text(std::string_view label) { return std::string(label); }

/// Each adds its families; one without a series is left out in the end.
void add_node(const View& view, Families& out);
void add_guard(const View& view, Families& out);
void add_keys(const View& view, Families& out);
/// What the SYN-ACK monitor counted; nothing if it is off.
void add_monitor(const View& view, Families& out);

}  // namespace tfo
