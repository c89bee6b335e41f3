// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/packet.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {

inline constexpr uint64_t kTick = 1ULL << TFO_TICK_SHIFT;       // ns
inline constexpr uint64_t kBucket = 8739ULL << TFO_TICK_SHIFT;  // ns, in whole ticks
inline constexpr uint64_t kSecond = 1'000'000'000;

/// One load of the program with one VIP in mode enforce and its guard on, one key, and a clock that
/// only tests move. Clients are Linux hosts: bytes of the SYN, ISN 0x11223344, port 40000 unless
/// they say otherwise.
class GuardWorld {
 public:
  static constexpr uint16_t kSlot = 1;

  /// `handshakes`: see LoadSizes.
  static Result<GuardWorld> make(const tfo_guard& guard, uint32_t handshakes = 1024,
                                 tfo_vip_mode mode = TFO_ENFORCE);

  /// A SYN to the VIP with a valid cookie and `data` bytes.
  static Packet syn(const std::string& client, size_t data = 20);
  /// The same from IPv4 address `number` of 11.0.0.0 upwards, with the cookie for it; the fast way.
  static void from_number(Packet& syn, uint32_t number);
  /// A segment of the same connection, `past` bytes after the SYN.
  static Packet segment(const Packet& syn, uint8_t flags, uint32_t past, uint32_t ack = 1);

  /// What the guard said of it, told by its counters.
  Result<tfo_guard_answer> send(const Packet& packet);
  /// The same without asking: nothing but one system call.
  Result<> pour(const Bytes& frame, uint32_t repeat = 1) const;

  Result<tfo_guard_counters> counters() const;
  Result<tfo_guard_vip> vip() const;
  Result<> set(const tfo_guard& guard) const;
  /// Every head in use, with its row.
  struct Load {
    tfo_guard_head head;
    tfo_guard_row row;
  };
  Result<std::vector<Load>> loads() const;
  /// Handshakes in this state.
  Result<size_t> handshakes(enum tfo_handshake_state state) const;
  Result<> list(const std::string& prefix, uint32_t length, tfo_guard_list_verdict verdict,
                uint64_t until_ns);
  Result<std::vector<tfo_guard_event>> events() const;

  void advance(uint64_t ns) { xdp_.set_now(now_ += ns); }
  uint64_t now() const { return now_; }
  XdpUnderTest& xdp() { return xdp_; }
  const XdpUnderTest& xdp() const { return xdp_; }

 private:
  explicit GuardWorld(XdpUnderTest xdp) : xdp_(std::move(xdp)) {}
  XdpUnderTest xdp_;
  uint64_t now_ = 1000 * kBucket;
};

/// Limits of one client network and of all; copies are looked for over a minute.
tfo_guard network_limits(uint32_t network, uint32_t cap);
/// An address of the /24 of this number.
std::string client4(unsigned network, unsigned host);
Packet from_port(Packet syn, unsigned port);
/// The VIP's: handshakes open and reset.
uint32_t load(const GuardWorld& world);

}  // namespace tfo::test
