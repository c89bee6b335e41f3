// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/keys/ring.h"
#include "loader/result.h"

namespace tfo {

/// struct fastopen_queue of include/net/request_sock.h, of one listener.
struct FastOpenQueue {
  uint32_t limit = 0;    ///< max_qlen, pending ones that it takes; 0: no Fast Open here
  uint32_t pending = 0;  ///< qlen, connections before their handshake's end
  /// Fingerprints of keys that an application gave this listener (TCP_FASTOPEN_KEY), primary first.
  /// Empty: it uses the namespace's.
  std::vector<std::string> own_keys;

  bool operator==(const FastOpenQueue&) const = default;
};

/// A listening TCP socket.
struct Listener {
  /// Where it listens: IPv4 in its mapped form; :: and ::ffff:0.0.0.0 are "any".
  ConfigAddress address{};
  uint16_t port = 0;                       ///< host order
  uint32_t backlog = 0;                    ///< listen()'s, already cut to somaxconn
  uint32_t accept_queue = 0;               ///< connections that wait for accept()
  std::optional<FastOpenQueue> fast_open;  ///< nothing: this kernel does not show it
  unsigned vips = 0;                       ///< of the configuration, that it serves: count_vips()

  /// Fast Open is on here as far as can be seen.
  bool may_fast_open() const { return !fast_open || fast_open->limit > 0; }
  bool operator==(const Listener&) const = default;
};

/// What the listeners of one namespace can take, for this node's status and for the balancers'
/// limits. Listeners on loopback addresses are left out: no client reaches them.
struct ListenerReport {
  std::string netns;                ///< as NamespaceView::name
  uint32_t fastopen_bits = 0;       ///< net.ipv4.tcp_fastopen
  uint32_t somaxconn = 0;           ///< net.core.somaxconn; 0: not known
  std::vector<Listener> listeners;  ///< by port, then address; at most kMaxListeners
  size_t left_out = 0;              ///< beyond that
  std::string unseen;               ///< why FastOpenQueue is not known; empty: it is
  std::string error;                ///< why there is no list; empty: there is

  static constexpr size_t kMaxListeners = 1024;
};

/// Sorts, leaves loopback out, cuts to kMaxListeners.
void tidy(ListenerReport& report);

/// Default of net.ipv4.tcp_synack_retries, which the guard goes by (TFO_PENDING_BUCKETS).
inline constexpr unsigned kUsualRetries = 5;
/// How long the kernel holds a Fast Open connection whose client is silent: one more retry than it
/// is set to, each twice as late as the one before it and at most TCP_RTO_MAX
/// (tcp_fastopen_synack_timer).
unsigned held_seconds(unsigned synack_retries);

/// "192.0.2.1:80", "[2001:db8::1]:80", "*:80" for any.
std::string listener_text(const Listener& listener);

/// What is wrong with an own key of a listener: empty, or a sentence with fingerprints. Its cookies
/// are refused by everyone else unless the keys are those of the ring, and even then they will be
/// after the next rotation: nobody but the application can change them.
std::string own_key_evidence(const Listener& listener, const KeyRing& ring);

/// {netns, fastopen_bits, somaxconn, unseen, error, left_out, listeners: [{address, port, backlog,
/// accept_queue, fastopen_limit, fastopen_pending, own_keys}]}; what is not known is null.
nlohmann::json listeners_json(const ListenerReport& report);

}  // namespace tfo
