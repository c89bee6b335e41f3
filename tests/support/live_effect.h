// SPDX-License-Identifier: BSD-2-Clause
// What a listener's kernel does with a SYN, by the reason that the validator gives it.
#pragma once

#include "tests/support/corpus.h"
#include "tests/support/live_farm.h"

namespace tfo::test {

/// One row of the table reason -> tcp_try_fastopen() in net/ipv4/tcp_fastopen.c.
struct Effect {
  tfo_reason reason = TFO_NOT_TCP;
  TfoMib mib;
  bool answered = false;    ///< there is a SYN-ACK
  bool takes_data = false;  ///< it acknowledges the data too
  bool mints = false;  ///< it carries a cookie under the primary key, in the kind that the SYN used
};

/// From 6.7 on a kernel with TCP-MD5 or TCP-AO drops a SYN, before Fast Open sees it, if its
/// options break while so many bytes of them are left that a signature could follow
/// (tcp_do_parse_auth_options() in net/ipv4/tcp_input.c): 18 with MD5, 5 with AO, SIZE_MAX without.
bool breaks_before_signature(View options, size_t signature);
/// Options that such a kernel takes for a signature.
bool is_signed(View options);
/// Which of the three the server's kernel is.
Result<size_t> probe_signature(LiveFarm& farm);

/// The server holds kCurrentKey and, as backup, the key in the place `backup` of pool 0.
Effect expected_effect(tfo_reason reason, tfo_place backup);

/// A segment to send to the live server, in one frame or in fragments.
struct LiveSample {
  std::string name;
  Packet packet;
  std::vector<Bytes> frames;
  std::vector<Verdict> want;     ///< of the program, frame by frame
  tfo_reason syn = TFO_NOT_TCP;  ///< the reason that decides what the kernel does
};

/// Samples out of all case tables that a kernel can be asked about, and random ones. Source ports,
/// fragment ids and sequence numbers are new in each.
class LiveSamples {
 public:
  LiveSamples(uint64_t seed, const LiveFarm& farm) : random_(seed), farm_(farm) {}
  std::vector<LiveSample> of_tables();
  LiveSample any();        ///< options, data, flags and headers at random
  LiveSample fragments();  ///< a SYN in two fragments, the second one with data only

 private:
  void make_unique(Packet& packet);
  LiveSample single(std::string name, const Packet& built);

  Random random_;
  const LiveFarm& farm_;
  uint16_t port_ = 1024;
};

/// The options as they stand in the frame.
Bytes options_of(const Packet& packet);
/// The SYN-ACK's part of the effect.
std::optional<SynAck> expected_answer(const LiveSample& sample, const Effect& effect);

/// TCP and IPv4 checksums made right for what the frame says now.
void fix_checksums(Bytes& frame);

}  // namespace tfo::test
