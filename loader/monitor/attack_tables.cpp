// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/attack_tables.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "bpf/parse.h"
#include "bpf/synack_core.h"
#include "bpf/tcpopt.h"
#include "bpf/vip_hash.h"

namespace tfo {
namespace {

using nlohmann::json;

constexpr uint16_t kAcks = 64;      // only a number that most packets share is of interest
constexpr uint16_t kPorts = 256;    // that are attacked: few, or any
constexpr size_t kIpv4Header = 20;  // and more with options

MonitorAddress address_of(const __u8 (&bytes)[16]) {
  MonitorAddress address{};
  std::memcpy(address.data(), bytes, address.size());
  return address;
}

template <class Table, class Name>
json heaviest(const Table& table, size_t most, const char* field, Name name) {
  json rows = json::array();
  for (const auto& entry : table.top(most)) {
    json row = {{field, name(entry.key)},
                {"packets", entry.count},
                {"share", share(entry.count, table.total())}};
    if (entry.error != 0) row["at_most_too_many"] = entry.error;
    rows.push_back(std::move(row));
  }
  return rows;
}

/// `length`: whole bytes.
MonitorAddress network_of(const MonitorAddress& address, unsigned length) {
  MonitorAddress network{};
  std::copy_n(address.begin(), length / 8, network.begin());
  return network;
}

void put32(std::vector<uint8_t>& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

}  // namespace

double share(uint64_t part, uint64_t whole) {
  if (whole == 0) return 0;
  return std::round(1e4 * static_cast<double>(part) / static_cast<double>(whole)) / 1e4;
}

uint64_t MonitorHash::operator()(const MonitorAddress& address) const {
  tfo_vip_key key{};
  std::memcpy(&key.high, address.data(), 8);
  std::memcpy(&key.low, address.data() + 8, 8);
  return tfo_vip_hash(&key, reinterpret_cast<const __u64*>(seed.data()));
}

uint64_t MonitorHash::operator()(uint32_t number) const {
  const uint64_t mixed = (number ^ seed[0]) * (seed[1] | 1);
  return mixed ^ mixed >> 32;
}

unsigned network_length(const MonitorAddress& address) {
  return MonitorPrefix{.address = address}.is_v4() ? 120 : 48;
}

unsigned victim_network_length(const MonitorAddress& address) {
  return MonitorPrefix{.address = address}.is_v4() ? 120 : 64;
}

void LatelyHit::add(uint64_t hash, uint32_t window) {
  Bank& bank = banks_.at(window & 1);
  if (bank.window != window) bank = {.window = window, .seen = {}};
  bank.seen.set(hash % kBits);
}

uint64_t LatelyHit::count(uint32_t window) const {
  std::bitset<kBits> seen;
  for (const uint32_t one : {window, window - 1}) {
    const Bank& bank = banks_.at(one & 1);
    if (bank.window == one) seen |= bank.seen;
  }
  const double free = std::max<double>(1, static_cast<double>(kBits - seen.count()));
  return static_cast<uint64_t>(kBits * std::log(kBits / free) + 0.5);
}

AttackTables::AttackTables(const std::array<uint64_t, 2>& seed)
    : reflectors_(kCounters, {seed}),
      source_ports_(kCounters, {seed}),
      destination_ports_(kPorts, {seed}),
      victims_(kCounters, {seed}),
      victim_networks_(kCounters, {seed}),
      acks_(kAcks, {seed}),
      hash_{seed},
      random_(seed[0]) {}

void AttackTables::add(const tfo_sample& sample) {
  const MonitorAddress victim = address_of(sample.destination);
  const MonitorAddress source = address_of(sample.source);
  reflectors_.add(network_of(source, network_length(source)), sample.weight);
  source_ports_.add(ntohs(sample.source_port), sample.weight);
  destination_ports_.add(ntohs(sample.destination_port), sample.weight);
  victims_.add(victim, sample.weight);
  lately_.add(hash_(victim), tfo_window(sample.time_ns));
  victim_networks_.add(network_of(victim, victim_network_length(victim)), sample.weight);
  acks_.add(sample.ack, sample.weight);
  ttls_[sample.ttl] += sample.weight;
  samples_++;
  weight_max_ = std::max(weight_max_, sample.weight);
  keep_header(sample);
}

/// Weighted reservoir sampling (Chao 1982).
void AttackTables::keep_header(const tfo_sample& sample) {
  if (headers_.size() < kHeaders) {
    headers_.push_back(sample);
    hide_cookies(headers_.back());
    return;
  }
  if (random_() % weight() >= kHeaders * sample.weight) return;
  tfo_sample& place = headers_[random_() % kHeaders];
  place = sample;
  hide_cookies(place);
}

json AttackTables::evidence(size_t most) const {
  const auto network = [](unsigned (*length)(const MonitorAddress&)) {
    return [length](const MonitorAddress& a) {
      return network_text({.address = a, .length = length(a)});
    };
  };
  const auto address = [](const MonitorAddress& a) { return address_text(a); };
  const auto number = [](uint32_t n) { return n; };
  const auto acks = acks_.top(1);
  return {{"reflectors", heaviest(reflectors_, most, "network", network(network_length))},
          {"source_ports", heaviest(source_ports_, most, "port", number)},
          {"destination_ports", heaviest(destination_ports_, most, "port", number)},
          {"victims", heaviest(victims_, most, "address", address)},
          {"victim_networks",
           heaviest(victim_networks_, most, "network", network(victim_network_length))},
          {"same_ack", acks.empty() ? 0 : share(acks[0].count - acks[0].error, acks_.total())},
          {"same_ttl", share(*std::ranges::max_element(ttls_), weight())},
          {"samples", samples_},
          {"weight_max", weight_max_}};
}

std::vector<uint8_t> AttackTables::pcap(int64_t offset_ns) const {
  constexpr uint32_t kMagicNs = 0xa1b23c4d, kVersion = 2 | 4 << 16, kSnap = 65535, kRawIp = 101;
  std::vector<uint8_t> out;
  for (const uint32_t word : {kMagicNs, kVersion, 0U, 0U, kSnap, kRawIp}) put32(out, word);
  std::vector<tfo_sample> headers = headers_;
  std::ranges::sort(headers, {}, &tfo_sample::time_ns);
  for (const tfo_sample& sample : headers) {
    const int64_t at = std::max<int64_t>(0, static_cast<int64_t>(sample.time_ns) + offset_ns);
    put32(out, static_cast<uint32_t>(at / 1'000'000'000));
    put32(out, static_cast<uint32_t>(at % 1'000'000'000));
    put32(out, sample.header_length);
    put32(out, std::max<uint32_t>(sample.length, sample.header_length));
    out.insert(out.end(), sample.headers, sample.headers + sample.header_length);
  }
  return out;
}

size_t AttackTables::memory() const {
  return sizeof(*this) + reflectors_.memory() + source_ports_.memory() +
         destination_ports_.memory() + victims_.memory() + victim_networks_.memory() +
         acks_.memory() + headers_.capacity() * sizeof(tfo_sample);
}

void hide_cookies(tfo_sample& sample) {
  const size_t all = std::min<size_t>(sample.header_length, TFO_SAMPLE_HEADERS);
  const size_t tcp = sample.tcp;
  const auto hide = [&](size_t from, size_t to) {
    if (from < to) std::fill(sample.headers + from, sample.headers + to, __u8{0});
  };
  if (tcp < kIpv4Header || tcp + TFO_TCP_LEN > all) {
    hide(std::max<size_t>(tcp, kIpv4Header), all);  // its options may be anywhere behind
    return;
  }
  const size_t end = std::min(tcp + (sample.headers[tcp + 12] >> 4) * size_t{4}, all);
  hide(std::max(end, tcp + TFO_TCP_LEN), all);
  // What a broken option hides from the walk may still be a cookie: it goes, too.
  for (size_t at = tcp + TFO_TCP_LEN; at < end;) {
    const __u8 kind = sample.headers[at];
    if (kind == TFO_TCPOPT_NOP) {
      at++;
      continue;
    }
    const size_t length = at + 1 < end ? sample.headers[at + 1] : 0;
    const bool broken = kind == TFO_TCPOPT_EOL || length < 2 || at + length > end;
    const size_t stop = broken ? end : at + length;
    const size_t keep = kind == TFO_TCPOPT_EXP ? 4 : 2;
    if (broken || kind == TFO_TCPOPT_FASTOPEN || kind == TFO_TCPOPT_EXP) {
      hide(broken ? at : at + keep, stop);
    }
    at = stop;
  }
}

}  // namespace tfo
