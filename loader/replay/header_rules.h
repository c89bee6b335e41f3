// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf/parse.h"
#include "loader/replay/headers.h"

namespace tfo {

/// Why a frame is no SYN, each answer one sentence, with what the servers' kernel does with it
/// where it drops the packet. To be asked only once the parser has refused.
class HeaderRules {
 public:
  explicit HeaderRules(const tfo_frame& frame) : frame_(&frame) {}

  /// No well-formed IP packet at `at`, or one whose extension headers are wrong. `in_fragment`: its
  /// carrier goes on in other fragments. `headers`: those read so far, with this one, if it could
  /// be read.
  std::string no_ip(const tfo_layer& at, bool in_fragment,
                    const std::vector<IpHeader>& headers) const;
  static std::string fragment(const IpHeader& ip);
  /// The innermost of these packets does not carry TCP.
  std::string no_tcp(const std::vector<IpHeader>& headers) const;
  std::string no_gue(const tfo_layer& at, __be16 port, const tfo_packet& packet) const;
  /// `reason`: of tfo_parse_tcp(). `tcp`: none if not even its flags are there.
  static std::string no_syn(int reason, const std::optional<TcpHeader>& tcp,
                            const tfo_packet& packet);

 private:
  std::string no_ipv4(const tfo_layer& at, bool in_fragment) const;
  std::string no_ipv6(const tfo_layer& at, bool in_fragment, const IpHeader& ip) const;
  std::string bad_extension(const IpHeader& ip) const;
  std::string too_long(const tfo_layer& at, bool in_fragment, uint32_t end,
                       const char* function) const;

  const tfo_frame* frame_;
};

}  // namespace tfo
