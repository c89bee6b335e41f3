// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>

#include "tests/support/bytes.h"

namespace tfo::test {

inline constexpr uint16_t kVlan = 0x8100;  // 802.1Q
inline constexpr uint16_t kQinQ = 0x88a8;  // 802.1ad
inline constexpr uint8_t kHopByHop = 0;    // IPv6 next headers, RFC 8200 section 4
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kFragmentHeader = 44;
inline constexpr uint8_t kDestinationOptions = 60;

inline constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10,
                         kUrg = 0x20, kEce = 0x40, kCwr = 0x80;

/// Bytes [first, last) of what is fragmented, `first` a multiple of 8. More fragments follow if
/// `last` lies before its end, or if `more` says so.
struct Fragment {
  size_t first = 0;
  size_t last = SIZE_MAX;
  bool more = false;
};

struct VlanTag {
  uint16_t protocol = kVlan;
  uint16_t control = 7;
};

/// Layer 1 of 6: Ethernet and its tags.
struct LinkLayer {
  bool present = true;  ///< false on L3 devices such as tun
  std::array<uint8_t, 6> destination{2, 0, 0, 0, 0, 1};
  std::array<uint8_t, 6> source{2, 0, 0, 0, 0, 2};
  std::vector<VlanTag> tags;
  std::optional<uint16_t> ethertype;  ///< instead of what the IP version asks for
};

/// One IPv6 extension header: `body` follows the next-header byte. For kFragmentHeader `body` is
/// not looked at and `fragment` says which part of what follows is carried.
struct Extension {
  uint8_t kind = kDestinationOptions;
  Bytes body;
  Fragment fragment;
};

/// Layer 2 of 6: one IP header with IPv4 options or IPv6 extension headers.
struct IpLayer {
  Address source;
  Address destination;
  uint8_t ttl = 64;
  uint16_t id = 0x1234;
  uint16_t flags = 0;                 ///< IPv4 DF (0x4000) and the reserved bit (0x8000)
  Bytes options;                      ///< IPv4, a multiple of 4 bytes
  std::optional<Fragment> fragment;   ///< IPv4
  std::vector<Extension> extensions;  ///< IPv6, in order
  // Lies, instead of what the bytes are:
  std::optional<uint8_t> version;
  std::optional<uint8_t> header_words;  ///< IPv4 ihl
  std::optional<uint8_t> protocol;      ///< of what follows the header and its extensions
  std::optional<uint16_t> length;       ///< IPv4 total length, IPv6 payload length
};

enum class TunnelKind { kIp, kGue0, kGue1 };

/// Layer 3 of 6: an outer IP header, and UDP and GUE where asked for (draft-ietf-intarea-gue).
struct TunnelLayer {
  IpLayer ip;
  TunnelKind kind = TunnelKind::kIp;
  uint16_t port = 6080;               ///< UDP destination
  uint8_t words = 0;                  ///< GUE hlen: optional header fields of 4 bytes
  bool control = false;               ///< GUE C bit
  std::optional<uint8_t> protocol;    ///< GUE proto/ctype, a lie
  std::optional<uint8_t> first_byte;  ///< GUE variant, C and hlen, a lie
  std::optional<size_t> cut;          ///< the UDP datagram ends after so many bytes
};

/// Layer 4 of 6: TCP.
struct TcpLayer {
  uint16_t source = 40000;
  uint16_t destination = 443;
  uint32_t sequence = 0x11223344;
  uint32_t acknowledgment = 0;
  uint8_t flags = kSyn;
  uint16_t window = 65535;
  Bytes options;                ///< padded with EOL to a multiple of 4
  uint8_t reserved = 0;         ///< the nibble beside the data offset
  std::optional<uint8_t> doff;  ///< a lie
  std::optional<size_t> cut;    ///< the segment ends after so many bytes, and the IP length says so
  bool bad_checksum = false;
  std::optional<uint16_t> checksum;  ///< instead of the right one
};

/// A frame to be: six layers (link, tunnel, IP, TCP, payload, trailer), each a plain struct that
/// tests may change, and short calls for what they change most. Checksums are right and lengths
/// honest unless a test asks for a lie.
class Packet {
 public:
  /// A bare SYN from port 40000 to port 443.
  static Packet syn(const std::string& source, const std::string& destination);
  static Packet syn(const Address& source, const Address& destination);

  Packet& l3();  ///< no Ethernet header
  Packet& tag(uint16_t protocol = kVlan, uint16_t control = 7);
  Packet& ports(uint16_t source, uint16_t destination);
  Packet& flags(uint8_t flags);
  Packet& option(View bytes);  ///< appended to the TCP options as it stands
  Packet& data(size_t count);
  Packet& data(Bytes bytes);
  Packet& doff(uint8_t words);
  Packet& cut_tcp(size_t bytes);
  Packet& ip_options(Bytes bytes);
  Packet& extension(uint8_t kind, Bytes body = Bytes{0, 1, 4, 0, 0, 0, 0});
  Packet& fragment(size_t first, size_t last = SIZE_MAX, bool more = false);  ///< of the IP layer
  Packet& ip_length(uint16_t length);
  Packet& ip_protocol(uint8_t protocol);
  Packet& in_ip(const std::string& source, const std::string& destination);
  Packet& in_gue(const std::string& source, const std::string& destination, uint8_t variant = 0,
                 uint8_t words = 0);
  Packet& fragment_outer(size_t first, size_t last = SIZE_MAX, bool more = false);
  Packet& trailer(Bytes bytes);        ///< after the IP end, as Ethernet padding is
  Packet& cut_frame(size_t from_end);  ///< the last bytes never arrive

  Bytes frame() const;
  /// Layers in words, near to scapy's form.
  std::string text() const;

  LinkLayer link;
  std::optional<TunnelLayer> tunnel;
  IpLayer ip;
  TcpLayer tcp;
  Bytes payload;
  Bytes tail;
  size_t lost = 0;
};

/// The sum over the pseudo-header of a TCP segment of `length` bytes, folded and not complemented:
/// what the checksum field holds while nobody has computed it (CHECKSUM_PARTIAL).
uint16_t pseudo_header_sum(const IpLayer& ip, size_t length);

/// One TCP option with an honest length byte.
Bytes tcp_option(uint8_t kind, View body);
/// One TCP option whose length byte says `length`.
Bytes tcp_option_lie(uint8_t kind, uint8_t length, View body);
/// Fast Open, RFC 7413 section 4.1.1; an empty cookie is a request.
Bytes fast_open(View cookie = {});
/// Fast Open as the experiment had it: kind 254, magic 0xF989 (RFC 6994).
Bytes fast_open_experimental(View cookie = {});

}  // namespace tfo::test
