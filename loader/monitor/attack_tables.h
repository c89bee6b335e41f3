// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <random>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/monitor/config.h"
#include "loader/monitor/space_saving.h"

namespace tfo {

/// Keyed, so that nobody can choose addresses or ports that crowd one place of a table.
struct MonitorHash {
  std::array<uint64_t, 2> seed{};
  uint64_t operator()(const MonitorAddress& address) const;
  uint64_t operator()(uint32_t number) const;
};

/// The length of networks as they are told, of the mapped address: /24 of IPv4, of IPv6 /48, and
/// /64 of victims.
unsigned network_length(const MonitorAddress& address);
unsigned victim_network_length(const MonitorAddress& address);

/// How many distinct ones there were in this window of 8.6 s or in the one before: by linear
/// counting, right to some per cent up to 10,000.
class LatelyHit {
 public:
  /// `window`: tfo_window().
  void add(uint64_t hash, uint32_t window);
  uint64_t count(uint32_t window) const;

 private:
  static constexpr size_t kBits = 4096;
  struct Bank {
    uint32_t window = 0;
    std::bitset<kBits> seen;
  };
  std::array<Bank, 2> banks_;
};

/// Who sends what to whom, out of random samples that carry their weight: what an alert shows of
/// one attack. Below 250 KiB; the volume comes from counters, not from here.
class AttackTables {
 public:
  static constexpr uint16_t kCounters = 1024;
  static constexpr size_t kHeaders = 20;

  explicit AttackTables(const std::array<uint64_t, 2>& seed);

  void add(const tfo_sample& sample);

  /// "reflectors", "source_ports", "destination_ports", "victims", "victim_networks" (at most
  /// `most` each, with share and, where a count may be too large, its error), "same_ack",
  /// "same_ttl" (share of the commonest), "samples" and "weight_max".
  nlohmann::json evidence(size_t most = 10) const;

  /// Headers as a pcap file of raw IP packets, in the order of their times, each packet as likely
  /// as any other. The Fast Open cookies in them are zeroed: a SYN-ACK's cookie is a credential for
  /// the victim's address. `offset_ns`: what the stamps are beyond boot time.
  std::vector<uint8_t> pcap(int64_t offset_ns) const;

  uint64_t samples() const { return samples_; }
  /// Packets that the samples stand for.
  uint64_t weight() const { return reflectors_.total(); }
  const SpaceSaving<MonitorAddress, MonitorHash>& reflectors() const { return reflectors_; }
  const SpaceSaving<MonitorAddress, MonitorHash>& victims() const { return victims_; }
  const SpaceSaving<MonitorAddress, MonitorHash>& victim_networks() const {
    return victim_networks_;
  }
  uint32_t weight_max() const { return weight_max_; }
  /// Victims of late. `window`: now.
  uint64_t victims_hit(uint32_t window) const { return lately_.count(window); }
  size_t memory() const;

 private:
  void keep_header(const tfo_sample& sample);

  SpaceSaving<MonitorAddress, MonitorHash> reflectors_;  // networks
  SpaceSaving<uint32_t, MonitorHash> source_ports_;
  SpaceSaving<uint32_t, MonitorHash> destination_ports_;
  SpaceSaving<MonitorAddress, MonitorHash> victims_;
  SpaceSaving<MonitorAddress, MonitorHash> victim_networks_;
  SpaceSaving<uint32_t, MonitorHash> acks_;
  std::array<uint64_t, 256> ttls_{};
  LatelyHit lately_;
  MonitorHash hash_;
  std::vector<tfo_sample> headers_;  // a reservoir
  std::mt19937_64 random_;
  uint64_t samples_ = 0;
  uint32_t weight_max_ = 0;
};

/// 0 to 1, as it is shown: four digits.
double share(uint64_t part, uint64_t whole);

/// Zeroes the cookies of all Fast Open options in the headers of a sample, RFC 7413 section 4.1.1
/// and the experimental ones, and all that cannot be walked to its end.
void hide_cookies(tfo_sample& sample);

}  // namespace tfo
