// SPDX-License-Identifier: BSD-2-Clause
// Random packets around everything that the parser and the option walk decide on.
#pragma once

#include <map>
#include <random>

#include "tests/support/cases.h"

namespace tfo::test {

/// What the environment variable TFO_CORPUS_SEED says, else a new seed. Print it.
uint64_t corpus_seed();
/// `usual`, or what the environment variable TFO_CORPUS_COUNT says.
size_t corpus_count(size_t usual);

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t limit) { return engine_() % limit; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  uint8_t byte() { return static_cast<uint8_t>(engine_()); }
  Bytes bytes(size_t count);
  template <class Range>
  const auto& pick(const Range& range) {
    return range[below(std::size(range))];
  }

 private:
  std::mt19937_64 engine_;
};

struct Sample {
  Packet packet;
  Bytes frame;  ///< of the packet, some with bytes changed after it was built
  bool l3 = false;
  uint8_t decap = 0;
};

/// An endless stream of samples for case_world(); equal seeds, equal streams.
class Corpus {
 public:
  explicit Corpus(uint64_t seed) : random_(seed) {}
  Sample next();

 private:
  Random random_;
};

/// Layers in words, hex dump, interface settings.
std::string sample_text(const Sample& sample);

/// Random TCP options around Fast Open, at most 40 bytes. Cookies are right for the packet.
Bytes random_options(Random& random, const Packet& packet);

/// How often each reason came up, for the log.
class ReasonCounts {
 public:
  void add(tfo_reason reason) { counts_[reason]++; }
  uint64_t of(tfo_reason reason) const;
  std::string text() const;
  /// Every reason but internal_error came up this often.
  bool all_at_least(uint64_t count) const;

 private:
  std::map<tfo_reason, uint64_t> counts_;
};

}  // namespace tfo::test
