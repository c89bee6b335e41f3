// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <prometheus/metric_family.h>

#include <string>
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

/// What the SYN-ACK monitor counted; nothing if it is off.
void add_monitor(const View& view, Families& out);

}  // namespace tfo
