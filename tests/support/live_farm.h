// SPDX-License-Identifier: BSD-2-Clause
// A live kernel behind the attached program: client -> balancer (XDP on its veth, routes) ->
// server with a Fast Open listener. The client has no stack of its own: frames go out and come in
// raw, so nobody answers by itself.
#pragma once

#include <memory>
#include <optional>

#include "tests/support/netns.h"
#include "tests/support/packet.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {

/// TcpExt counters of the server's namespace (net/ipv4/proc.c).
struct TfoMib {
  uint64_t request = 0;    ///< TCPFastOpenCookieReqd
  uint64_t accepted = 0;   ///< TCPFastOpenPassive
  uint64_t alternate = 0;  ///< TCPFastOpenPassiveAltKey
  uint64_t refused = 0;    ///< TCPFastOpenPassiveFail
  uint64_t overflow = 0;   ///< TCPFastOpenListenOverflow
  bool operator==(const TfoMib&) const = default;
  TfoMib operator-(const TfoMib& earlier) const;
};

/// The server's answer to a SYN.
struct SynAck {
  uint32_t sequence = 0;
  uint32_t acked = 0;                 ///< ack number less the SYN's sequence number
  uint32_t option = TFO_OPTION_NONE;  ///< enum tfo_option_kind
  std::string cookie;                 ///< hex digits
  bool operator==(const SynAck&) const = default;
};

/// What the frames of one sample did.
struct Observed {
  std::vector<Verdict> verdicts;  ///< one for each frame that the program counts, unordered
  TfoMib mib;
  std::optional<SynAck> answer;
};

class LiveFarm {
 public:
  /// `xdp` must not count TFO_OTHER: resets pass uncounted.
  static Result<std::unique_ptr<LiveFarm>> build(XdpUnderTest& xdp);
  ~LiveFarm();
  LiveFarm(const LiveFarm&) = delete;
  LiveFarm& operator=(const LiveFarm&) = delete;

  /// "primary,backup" for the server.
  Result<> set_keys(const std::string& keys);
  /// The server's network namespace, a name under /run/netns.
  const std::string& server_netns() const { return server_.name(); }
  /// Fills in the Ethernet addresses.
  void address(Packet& packet) const;
  /// Sends the frames of one segment, then a plain SYN and awaits its answer: then all was seen.
  /// `port` is the source port of the segment, `sequence` its sequence number.
  Result<Observed> send(const std::vector<Bytes>& frames, uint16_t port, uint32_t sequence);

 private:
  LiveFarm(XdpUnderTest& xdp, NetNs client, NetNs balancer, NetNs server);
  Result<> wire();
  Result<> configure();
  Result<> configure_addresses(int family);
  Result<> listen();
  Result<> attach();
  Result<> open_packet_socket();
  Result<TfoMib> read_mib();
  Result<std::vector<Bytes>> until_marker(uint16_t port);
  Result<> transmit(View frame);
  Result<> reset(const Bytes& answer);
  void drain_accept_queue();

  XdpUnderTest& xdp_;
  NetNs client_, balancer_, server_;
  int packet_socket_ = -1, listener_ = -1, netstat_ = -1;
  unsigned client_ifindex_ = 0, balancer_ifindex_ = 0;
  uint16_t marker_port_ = 1024;
  unsigned sent_ = 0;
  TfoMib last_mib_;
  std::vector<tfo_counters> last_counters_;
};

/// A destination where the server listens and that is no VIP: where markers go.
inline constexpr const char* kMarkerClient = "10.88.0.99";
inline constexpr const char* kMarkerServer = "10.88.0.98";

}  // namespace tfo::test
