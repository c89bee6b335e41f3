// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/listeners.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

namespace tfo {
namespace {

using nlohmann::json;

constexpr ConfigAddress kLoopbackV6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

bool is_loopback(const ConfigAddress& address) {
  return address == kLoopbackV6 || (is_mapped(address) && address[12] == 127);
}

bool is_any(const ConfigAddress& address) {
  return address == kAnyV4 || address == ConfigAddress{};
}

json fast_open_field(const Listener& listener, uint32_t FastOpenQueue::* field) {
  return listener.fast_open ? json((*listener.fast_open).*field) : json(nullptr);
}

}  // namespace

void tidy(ListenerReport& report) {
  std::erase_if(report.listeners, [](const Listener& one) { return is_loopback(one.address); });
  std::sort(report.listeners.begin(), report.listeners.end(),
            [](const Listener& a, const Listener& b) {
              return std::tie(a.port, a.address) < std::tie(b.port, b.address);
            });
  if (report.listeners.size() <= ListenerReport::kMaxListeners) return;
  report.left_out += report.listeners.size() - ListenerReport::kMaxListeners;
  report.listeners.resize(ListenerReport::kMaxListeners);
}

unsigned held_seconds(unsigned synack_retries) {
  constexpr unsigned kLongest = 120;
  unsigned sum = 0, wait = 1;
  for (unsigned i = 0; i <= synack_retries + 1; ++i) {
    sum += wait;
    wait = std::min(2 * wait, kLongest);
  }
  return sum;
}

std::string listener_text(const Listener& listener) {
  if (is_any(listener.address)) return fmt::format("*:{}", listener.port);
  const std::string address = address_text(listener.address);
  const bool v6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", listener.port);
}

std::string own_key_evidence(const Listener& listener, const KeyRing& ring) {
  if (!listener.fast_open || listener.fast_open->limit == 0) return {};
  const std::vector<std::string>& own = listener.fast_open->own_keys;
  if (own.empty()) return {};
  const bool known = std::any_of(
      ring.generations.begin(), ring.generations.end(),
      [&](const Generation& generation) { return generation.key.fingerprint() == own.front(); });
  return fmt::format(
      "an application gave this listener keys of its own (TCP_FASTOPEN_KEY, fingerprint {}): {}; "
      "only the application can change that, so configure it not to set any",
      fmt::join(own, ","),
      known ? "they are the farm's today and stay as they are when it rotates"
            : "its cookies are refused everywhere else and it refuses the farm's");
}

json listeners_json(const ListenerReport& report) {
  json all = json::array();
  for (const Listener& one : report.listeners) {
    all.push_back({{"address", address_text(one.address)},
                   {"port", one.port},
                   {"backlog", one.backlog},
                   {"accept_queue", one.accept_queue},
                   {"fastopen_limit", fast_open_field(one, &FastOpenQueue::limit)},
                   {"fastopen_pending", fast_open_field(one, &FastOpenQueue::pending)},
                   {"own_keys", one.fast_open ? json(one.fast_open->own_keys) : json(nullptr)}});
  }
  const auto text = [](const std::string& words) {
    return words.empty() ? json(nullptr) : json(words);
  };
  const auto number = [](uint32_t value) { return value == 0 ? json(nullptr) : json(value); };
  return {{"netns", report.netns},
          {"fastopen_bits", report.fastopen_bits},
          {"somaxconn", number(report.somaxconn)},
          {"unseen", text(report.unseen)},
          {"error", text(report.error)},
          {"left_out", report.left_out},
          {"listeners", std::move(all)}};
}

}  // namespace tfo
