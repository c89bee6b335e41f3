// SPDX-License-Identifier: BSD-2-Clause
// Whose evidence is kept, and of what: an attack among noise.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/monitor/attack_book.h"

namespace tfo {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr uint32_t kDecoy = 0x01010101, kAttack = 0x0a000000;
constexpr size_t kHeadersLength = 40;

/// A book on a clock of the test's.
class Book {
 public:
  /// Samples of one packet each, evenly over the time, out of twelve networks or just one.
  void come(uint16_t subject, uint32_t source, double rate, seconds time, uint32_t networks = 1) {
    const auto packets = static_cast<uint64_t>(rate * static_cast<double>(time.count()));
    const nanoseconds begin = now_;
    for (uint64_t i = 0; i < packets; i++) {
      now_ = begin + nanoseconds(static_cast<int64_t>(static_cast<double>(i) * 1e9 / rate));
      add(subject, source + static_cast<uint32_t>(i % networks << 8));
    }
    now_ = begin + time;
  }

  void add(uint16_t subject, uint32_t source, uint32_t weight = 1) {
    tfo_sample sample{};
    sample.time_ns = static_cast<uint64_t>(now_.count());
    sample.subject = subject;
    sample.weight = weight;
    sample.source[10] = sample.source[11] = sample.destination[10] = sample.destination[11] = 0xff;
    const uint32_t bytes = htonl(source);
    std::memcpy(sample.source + 12, &bytes, 4);
    sample.header_length = kHeadersLength;
    sample.headers[0] = 0x45;
    std::memcpy(sample.headers + 12, &bytes, 4);
    sample.tcp = 20;
    sample.headers[32] = 0x50;
    book_.add(subject, sample, now_);
  }

  void wait(seconds time) { now_ += time; }
  AttackBook& book() { return book_; }
  nanoseconds now() const { return now_; }

  std::string heaviest(uint16_t subject) const {
    const AttackTables* tables = book_.find(subject);
    if (tables == nullptr) return "none";
    return tables->evidence(1)["reflectors"][0]["network"];
  }
  uint64_t packets(uint16_t subject) const {
    const AttackTables* tables = book_.find(subject);
    return tables == nullptr ? 0 : tables->weight();
  }
  /// How many of the packets that are kept come from 10.0.0.0/8.
  unsigned attackers(uint16_t subject) const {
    const std::vector<uint8_t> file = book_.find(subject)->pcap(0);
    unsigned found = 0;
    for (size_t at = 24; at < file.size(); at += 16 + kHeadersLength) {
      if (file[at + 16 + 12] == 10) found++;
    }
    return found;
  }

 private:
  nanoseconds now_ = seconds(1000);
  AttackBook book_{{0x0123456789abcdefULL, 0xfedcba9876543210ULL}};
};

/// One packet a minute to each of many addresses is what everybody sees.
TEST(MonitorBook, NoiseGivesWayToAnAttack) {
  Book book;
  for (int minute = 0; minute < 10; minute++) {
    for (uint16_t subject = 1; subject <= AttackBook::kMost; subject++) book.add(subject, kDecoy);
    book.wait(seconds(60));
  }
  book.add(65, kAttack);
  EXPECT_EQ(book.packets(65), 0U) << "there is no room";
  std::map<uint16_t, double> lately{{65, 4}};
  for (uint16_t subject = 2; subject <= AttackBook::kMost; subject++) lately[subject] = 0.5;
  book.book().review(lately, book.now());
  book.add(65, kAttack);
  EXPECT_EQ(book.packets(65), 0U) << "it is too little, too";
  lately[65] = 100;
  book.book().review(lately, book.now());
  for (int i = 0; i < 1000; i++) book.add(65, kAttack);
  EXPECT_EQ(book.packets(65), 1000U);
  EXPECT_EQ(book.packets(1), 0U) << "it had the least of all";
  EXPECT_EQ(book.packets(2), 10U);
}

TEST(MonitorBook, OfAttacksTheHeaviestStay) {
  Book book;
  std::map<uint16_t, double> lately;
  for (uint16_t subject = 1; subject <= AttackBook::kMost; subject++) {
    book.add(subject, kAttack);
    lately[subject] = 100.0 * subject;
  }
  lately[100] = 190;
  lately[101] = 150;
  book.book().review(lately, book.now());
  book.add(100, kAttack);
  book.add(101, kAttack);
  EXPECT_EQ(book.packets(100), 0U) << "less than twice as much as another";
  lately[100] = 1000;
  lately[101] = 350;
  for (int i = 0; i < 3; i++) book.book().review(lately, book.now());
  book.add(100, kAttack);
  book.add(101, kAttack);
  EXPECT_EQ(book.packets(1), 0U);
  EXPECT_EQ(book.packets(100), 1U);
  EXPECT_EQ(book.packets(2), 1U);
  EXPECT_EQ(book.packets(101), 0U) << "who is left has more than half as much";
  EXPECT_LE(AttackBook::kMost * book.book().find(2)->memory(), 16U << 20);
}

/// A decoy sends one packet in two seconds for a day, so that nothing is ever forgotten as idle.
TEST(MonitorBook, NoiseBeforeAnAttackIsForgotten) {
  Book book;
  book.come(1, kDecoy, 0.5, seconds(86'700));
  EXPECT_LE(book.packets(1), 300U) << "nobody was told of it: the last minutes are enough";
  EXPECT_GE(book.packets(1), 1U);
  book.come(1, kAttack, 50, seconds(60), 12);
  EXPECT_EQ(book.heaviest(1).substr(0, 5), "10.0.");
  EXPECT_GE(book.packets(1), 2900U);
  EXPECT_LE(book.packets(1), 3000U);
  EXPECT_EQ(book.attackers(1), AttackTables::kHeaders);
  EXPECT_GE(book.book().began(1), book.now() - seconds(61));
}

TEST(MonitorBook, OneHeavySampleIsNoAttack) {
  Book book;
  book.come(1, kAttack, 2, seconds(60));
  book.add(1, kDecoy, 1024);
  EXPECT_EQ(book.packets(1), 120U + 1024);
}

/// What an alert shows is of all its time, an hour at most: whatever else may come.
TEST(MonitorBook, WhatIsShownIsOfTheWholeAlert) {
  Book book;
  for (int minute = 0; minute < 30; minute++) {
    book.come(1, kAttack, 50, seconds(60));
    book.book().hold(1, book.now());
  }
  book.come(1, kDecoy, 1000, seconds(10));
  EXPECT_EQ(book.packets(1), 30 * 60 * 50U + 10'000);
  EXPECT_EQ(book.heaviest(1), "10.0.0.0/24");
  for (int minute = 0; minute < 40; minute++) {
    book.come(1, kAttack, 50, seconds(60));
    book.book().hold(1, book.now());
  }
  book.come(1, kDecoy, 5000, seconds(10));
  EXPECT_EQ(book.heaviest(1), "1.1.1.0/24") << "another attack, after more than an hour";
}

/// Off for a minute, on for ten seconds: one attack.
TEST(MonitorBook, PulsesAreOneAttack) {
  Book book;
  for (int pulse = 0; pulse < 8; pulse++) {
    book.come(1, kAttack, 500, seconds(10));
    book.wait(seconds(60));
  }
  EXPECT_EQ(book.packets(1), 8 * 5000U);
  book.wait(AttackBook::kIdle);
  book.come(1, kDecoy, 1, seconds(10));
  EXPECT_EQ(book.packets(1), 10U) << "another one";
}

/// Nobody can choose, by being first or last, which packets are shown.
TEST(MonitorBook, HeadersAreOfTheWholeAttack) {
  Book book;
  book.come(1, kDecoy, 1000, seconds(10));
  book.come(1, kAttack, 1000, seconds(30));
  const unsigned attackers = book.attackers(1);
  EXPECT_GE(attackers, 9U) << "three of four";
  EXPECT_LE(attackers, 19U);
  const std::vector<uint8_t> file = book.book().find(1)->pcap(0);
  uint32_t last = 0;
  for (size_t at = 24; at < file.size(); at += 16 + kHeadersLength) {
    uint32_t time = 0;
    std::memcpy(&time, file.data() + at, 4);
    EXPECT_GE(time, last);
    last = time;
  }
}

}  // namespace
}  // namespace tfo
