// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/metric_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace tfo {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

void add_number(std::string& out, double value) {
  constexpr double kExact = 1e15;  // below it a whole number has no exponent with %.16g either
  if (std::isnan(value)) {
    out += "Nan";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (std::abs(value) < kExact && value == std::trunc(value) && !std::signbit(value)) {
    const fmt::format_int digits(static_cast<int64_t>(value));
    out.append(digits.data(), digits.size());
  } else {
    fmt::format_to(std::back_inserter(out), "{:.16g}", value);
  }
}

void add_escaped(std::string& out, const std::string& value) {
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
}

void add_labels(std::string& out, const ClientMetric& metric) {
  const char* before = "";
  for (const ClientMetric::Label& label : metric.label) {
    out.append(before).append(label.name).append("=\"");
    add_escaped(out, label.value);
    out += '"';
    before = ",";
  }
}

void add_sample(std::string& out, const std::string& name, const ClientMetric& metric,
                double value) {
  out += name;
  if (!metric.label.empty()) {
    out += '{';
    add_labels(out, metric);
    out += '}';
  }
  out += ' ';
  add_number(out, value);
  out += '\n';
}

/// The last bucket's bound is infinite.
void add_histogram(std::string& out, const std::string& name, const ClientMetric& metric) {
  add_sample(out, name + "_count", metric, static_cast<double>(metric.histogram.sample_count));
  add_sample(out, name + "_sum", metric, metric.histogram.sample_sum);
  for (const ClientMetric::Bucket& bucket : metric.histogram.bucket) {
    out.append(name).append("_bucket{");
    add_labels(out, metric);
    if (!metric.label.empty()) out += ',';
    out += "le=\"";
    add_number(out, bucket.upper_bound);
    out += "\"} ";
    add_number(out, static_cast<double>(bucket.cumulative_count));
    out += '\n';
  }
}

const char* type_word(MetricType type) {
  if (type == MetricType::Histogram) return "histogram";
  return type == MetricType::Counter ? "counter" : "gauge";
}

}  // namespace

std::string metric_text(const Families& families) {
  constexpr size_t kLine = 100;
  size_t series = 0;
  for (const auto& family : families) series += family.metric.size();
  std::string out;
  out.reserve(series * kLine);
  for (const prometheus::MetricFamily& family : families) {
    if (!family.help.empty()) {
      out.append("# HELP ").append(family.name).append(" ").append(family.help) += '\n';
    }
    out.append("# TYPE ").append(family.name).append(" ").append(type_word(family.type)) += '\n';
    for (const ClientMetric& metric : family.metric) {
      if (family.type == MetricType::Histogram) {
        add_histogram(out, family.name, metric);
      } else {
        const bool counts = family.type == MetricType::Counter;
        add_sample(out, family.name, metric, counts ? metric.counter.value : metric.gauge.value);
      }
    }
  }
  return out;
}

}  // namespace tfo
