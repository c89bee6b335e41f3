// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/farm_reports.h"

#include <gtest/gtest.h>

namespace tfo::rotation {
namespace {

Ack server(int64_t clock, uint64_t qlen, uint64_t least) {
  Ack ack;
  ack.server = true;
  ack.clock = clock;
  ack.listeners = nlohmann::json::array({{{"fastopen_bits", 3},
                                          {"sums",
                                           {{"listeners", 2U},
                                            {"qlen", qlen},
                                            {"qlen_least", least},
                                            {"qlen_unknown", 1U},
                                            {"backlog", 100U},
                                            {"fullest_quarters", least == 0 ? 0U : 3U}}}}});
  return ack;
}

TEST(FarmReports, AddUpWhatTheNodesSay) {
  Ack balancer;
  balancer.balancer = true;
  balancer.clock = 5;  // no server's
  FarmReports sum;
  for (const Ack& ack : {balancer, server(20, 40, 0), server(10, 400, 100), server(30, 80, 30)}) {
    add(sum, report_of(ack));
  }
  const FarmReports expected{.servers = 3,
                             .balancers = 1,
                             .listeners = 6,
                             .qlen_sum = 520,
                             .qlen_least = 30,
                             .qlen_unknown = 3,
                             .backlog_sum = 300,
                             .fullest_quarters = 3,
                             .any_no_cookie_bit = false,
                             .oldest_at = 10};
  EXPECT_EQ(sum, expected);
}

TEST(FarmReports, OneNamespaceWithTheBitIsEnough) {
  Ack ack = server(1, 1, 1);
  ack.listeners[0]["fastopen_bits"] = 3 | kNoCookieBit;
  FarmReports sum = report_of(ack);
  EXPECT_TRUE(sum.any_no_cookie_bit);
  add(sum, report_of(server(1, 1, 1)));
  EXPECT_TRUE(sum.any_no_cookie_bit);
}

TEST(FarmReports, ARecordIsReadAsItWasWritten) {
  ReportRecord record;
  record.at = 1'795'000'000'123;
  record.sums = {.servers = 3,
                 .balancers = 1,
                 .listeners = 6,
                 .qlen_sum = 520,
                 .qlen_least = 30,
                 .qlen_unknown = 2,
                 .backlog_sum = 300,
                 .fullest_quarters = 4,
                 .any_no_cookie_bit = true,
                 .oldest_at = 10};
  const nlohmann::json written = to_json(record);
  nlohmann::json later = written;
  later["more"] = "said by another release";
  const auto read = report_record_from(later);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, record);
  for (const auto& [field, value] : written.items()) {
    nlohmann::json lacks = written;
    lacks.erase(field);
    EXPECT_FALSE(report_record_from(lacks)) << field;
  }
}

TEST(FarmReports, WhatAnotherReleaseSaysDifferentlyIsNotKnown) {
  Ack ack = server(1, 1, 1);
  ack.listeners = {nullptr, 5, {{"sums", {{"qlen", "many"}, {"listeners", -1}}}}};
  EXPECT_EQ(report_of(ack), (FarmReports{.servers = 1, .oldest_at = 1}));
}

}  // namespace
}  // namespace tfo::rotation
