// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/live_farm.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <sstream>

#include "tests/support/reference_ip.h"

namespace tfo::test {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr uint32_t kMarkerSequence = 0x4d41524b;

uint32_t be32(View bytes, size_t at) {
  return static_cast<uint32_t>(bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 |
                               bytes[at + 3]);
}
uint16_t be16(View bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

/// The TCP segment of a frame if it is a SYN-ACK to this port, of the marker or of a sample.
std::optional<TcpSegment> syn_ack_to(View frame, uint16_t port, bool marker) {
  static const World kAny;
  static const Address kServer = Address::of(kMarkerServer);
  const Found found = find_segment(frame, kAny);
  if (!found || found->bytes.size() < 20) return std::nullopt;
  if ((found->bytes[13] & 0x17) != (kSyn | kAck) || be16(found->bytes, 2) != port) {
    return std::nullopt;
  }
  if (std::ranges::equal(found->source, kServer.wire()) != marker) return std::nullopt;
  return *found;
}

SynAck read_answer(const TcpSegment& segment, uint32_t sequence) {
  const size_t header = static_cast<size_t>(segment.bytes[12] >> 4) * 4;
  const FastOpenState state = reference_options(segment.bytes.subspan(20, header - 20));
  SynAck answer;
  answer.sequence = be32(segment.bytes, 4);
  answer.acked = be32(segment.bytes, 8) - sequence;
  if (state.last_seen != TFO_OPTION_NONE) {
    answer.option = state.last_seen;
    answer.cookie = to_hex(state.cookie);
  }
  return answer;
}

/// Every cell that moved, as often as it moved.
std::vector<Verdict> moves(const std::vector<tfo_counters>& before,
                           const std::vector<tfo_counters>& after) {
  std::vector<Verdict> found;
  for (uint32_t slot = 0; slot < after.size(); slot++) {
    for (uint32_t reason = 0; reason < TFO_REASON_COUNT; reason++) {
      for (uint32_t cell = 0; cell < TFO_OPTION_KINDS * 2U; cell++) {
        const uint64_t delta = after[slot].cell[reason][cell / 2][cell % 2] -
                               before[slot].cell[reason][cell / 2][cell % 2];
        found.insert(found.end(), delta,
                     Verdict{static_cast<tfo_reason>(reason), cell / 2, cell % 2 != 0, slot});
      }
    }
  }
  return found;
}

}  // namespace

TfoMib TfoMib::operator-(const TfoMib& earlier) const {
  return {request - earlier.request, accepted - earlier.accepted, alternate - earlier.alternate,
          refused - earlier.refused, overflow - earlier.overflow};
}

Result<> LiveFarm::set_keys(const std::string& keys) {
  return server_.sysctl("ipv4/tcp_fastopen_key", keys);
}

Result<TfoMib> LiveFarm::read_mib() {
  std::string text(32768, '\0');
  const ssize_t size = pread(netstat_, text.data(), text.size(), 0);
  if (size <= 0) return fail_errno("reading /proc/net/netstat");
  text.resize(static_cast<size_t>(size));
  std::istringstream stream(text);
  std::string names_line, values_line;
  std::getline(stream, names_line);
  std::getline(stream, values_line);
  std::istringstream names(names_line), values(values_line);
  std::map<std::string, uint64_t> by_name;
  std::string name, value;
  while (names >> name && values >> value) {
    if (name.starts_with("TCPFastOpen")) by_name[name] = std::stoull(value);
  }
  return TfoMib{by_name.at("TCPFastOpenCookieReqd"), by_name.at("TCPFastOpenPassive"),
                by_name.at("TCPFastOpenPassiveAltKey"), by_name.at("TCPFastOpenPassiveFail"),
                by_name.at("TCPFastOpenListenOverflow")};
}

Result<> LiveFarm::transmit(View frame) {
  if (::send(packet_socket_, frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size())) {
    return fail_errno(fmt::format("sending {} bytes", frame.size()));
  }
  return {};
}

/// All frames that came in until the marker's SYN-ACK, that one last.
Result<std::vector<Bytes>> LiveFarm::until_marker(uint16_t port) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::vector<Bytes> frames;
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd waiting{packet_socket_, POLLIN, 0};
    if (poll(&waiting, 1, 100) <= 0) continue;
    Bytes frame(65536);
    const ssize_t size = recv(packet_socket_, frame.data(), frame.size(), 0);
    if (size <= 0) return fail_errno("receiving");
    frame.resize(static_cast<size_t>(size));
    frames.push_back(std::move(frame));
    if (syn_ack_to(frames.back(), port, true)) return frames;
  }
  return fail("the server did not answer a plain SYN");
}

/// Ends the half-open child that sent this SYN-ACK.
Result<> LiveFarm::reset(const Bytes& answer) {
  static const World kAny;
  const Found found = find_segment(answer, kAny);
  Packet packet;
  packet.ip.source.v6 = packet.ip.destination.v6 = found->source.size() == 16;
  std::ranges::copy(found->destination, packet.ip.source.bytes.begin());
  std::ranges::copy(found->source, packet.ip.destination.bytes.begin());
  packet.ports(be16(found->bytes, 2), be16(found->bytes, 0)).flags(kRst);
  packet.tcp.sequence = be32(found->bytes, 8);
  address(packet);
  return transmit(packet.frame());
}

void LiveFarm::drain_accept_queue() {
  const linger at_once{1, 0};
  while (true) {
    const int child = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (child < 0) return;
    setsockopt(child, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(child);
  }
}

Result<Observed> LiveFarm::send(const std::vector<Bytes>& frames, uint16_t port,
                                uint32_t sequence) {
  Packet marker = Packet::syn(kMarkerClient, kMarkerServer).ports(++marker_port_, 443);
  marker.tcp.sequence = kMarkerSequence + sent_++;
  address(marker);
  for (const Bytes& frame : frames) {
    if (auto done = transmit(frame); !done) return tl::unexpected(done.error());
  }
  if (auto done = transmit(marker.frame()); !done) return tl::unexpected(done.error());
  auto received = until_marker(marker_port_);
  if (!received) return tl::unexpected(received.error());

  Observed observed;
  for (const Bytes& frame : *received) {
    const bool is_marker = &frame == &received->back();
    const auto segment = syn_ack_to(frame, is_marker ? marker_port_ : port, is_marker);
    if (!segment) continue;
    if (!is_marker && !observed.answer) observed.answer = read_answer(*segment, sequence);
    if (auto done = reset(frame); !done) return tl::unexpected(done.error());
  }
  const auto mib = read_mib();
  auto counters = xdp_.counters(static_cast<uint32_t>(last_counters_.size()));
  if (!mib || !counters) return fail("cannot read counters");
  observed.mib = *mib - last_mib_;
  observed.verdicts = moves(last_counters_, *counters);
  last_mib_ = *mib;
  last_counters_ = std::move(*counters);
  const auto marked = std::ranges::find(observed.verdicts, Verdict{TFO_NOT_VIP});
  if (marked == observed.verdicts.end()) return fail("the program did not see the marker");
  observed.verdicts.erase(marked);
  if (sent_ % 64 == 0) drain_accept_queue();
  return observed;
}

}  // namespace tfo::test
