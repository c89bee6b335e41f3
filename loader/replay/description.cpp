// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/description.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstring>

#include "bpf/parse.h"

namespace tfo {
namespace {

std::string endpoint(const Flow& flow, const std::array<uint8_t, 16>& address, uint16_t port) {
  const std::string text = address_text(flow.family, address);
  if (!flow.has_ports) return text;
  return flow.family == 4 ? fmt::format("{}:{}", text, port) : fmt::format("[{}]:{}", text, port);
}

}  // namespace

Description describe(const EthernetFrame& frame, const tfo_load_config& config) {
  __u32 length = frame.wire_length;
  const tfo_frame core{.data = frame.bytes.data(),
                       .end = frame.bytes.data() + frame.bytes.size(),
                       .context = &length};
  Description description;
  if (frame.bytes.size() < TFO_ETH_LEN) {
    description.parsed = TFO_NOT_TCP;
    description.cut = length >= TFO_ETH_LEN;
    return description;
  }
  description.parsed = tfo_parse(&core, &config, &description.packet);
  description.cut = description.parsed == TFO_INTERNAL_ERROR;
  return description;
}

std::optional<Flow> flow_of(const EthernetFrame& frame, const Description& description) {
  const tfo_packet& packet = description.packet;
  if (packet.family == 0) return std::nullopt;
  const size_t length = packet.family == 4 ? 4 : 16;
  const uint8_t* addresses = frame.bytes.data() + packet.ip + (packet.family == 4 ? 12 : 8);
  Flow flow;
  flow.family = packet.family;
  std::memcpy(flow.source.data(), addresses, length);
  std::memcpy(flow.destination.data(), addresses + length, length);
  if (packet.tcp == 0) return flow;
  const uint8_t* ports = frame.bytes.data() + packet.tcp;
  flow.has_ports = true;
  flow.source_port = tfo_be16(tfo_load16(ports));
  flow.destination_port = tfo_be16(tfo_load16(ports + 2));
  return flow;
}

std::string Flow::source_text() const { return endpoint(*this, source, source_port); }
std::string Flow::destination_text() const {
  return endpoint(*this, destination, destination_port);
}

std::string address_text(int family, const std::array<uint8_t, 16>& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(family == 4 ? AF_INET : AF_INET6, address.data(), text, sizeof(text));
  return text;
}

}  // namespace tfo
