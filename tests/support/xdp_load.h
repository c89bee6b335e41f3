// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <bpf/libbpf.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/result.h"
#include "tests/support/verdict.h"

namespace tfo::test {

/// One row of the VIP table. `port` in host order, 0 = any; IPv4 addresses mapped.
struct VipRow {
  std::array<uint8_t, 16> address{};
  uint16_t port = 0;
  uint16_t slot = 0;
  uint16_t pool = 0;
  uint8_t mode = TFO_OBSERVE;  ///< enum tfo_vip_mode
  uint8_t flags = 0;           ///< TFO_VIP_*, besides TFO_VIP_USED
  uint16_t canary = 0;
};

/// Entries of maps that differ from what the program asks for; 0 = as it asks.
struct LoadSizes {
  uint32_t rings = 0;
  uint32_t handshakes = 1024;  ///< of the guard, a power of two; the only one with a default
  uint32_t bloom_lines = 0;    ///< of the SYN-ACK monitor, a power of two; 0: no monitor
};

/// One private load of the XDP program, its maps unpinned. The object is the file that the
/// environment variable TFO_BPF_OBJECT names, or the one built into the tests.
class XdpUnderTest {
 public:
  static Result<XdpUnderTest> load(const tfo_load_config& config, const LoadSizes& sizes = {});

  Result<> set_vips(const std::vector<VipRow>& rows);
  Result<> set_ring(uint16_t pool, const tfo_ring& ring);
  Result<> set_policy(uint16_t slot, const tfo_policy& policy);
  Result<tfo_trigger> trigger(uint16_t slot) const;
  Result<> set_trigger(uint16_t slot, const tfo_trigger& trigger);
  /// The clock that not_after is compared with, in ns.
  void set_now(uint64_t now_ns);
  /// Runs one frame and tells which one counter moved; an error if it is not exactly one, unless
  /// none moved and the program does not count TFO_OTHER: that is the verdict then.
  /// `linear`: only so many bytes of the frame lie in one piece, the rest in fragments; 0 = as the
  /// kernel does it.
  Result<Verdict> run(std::span<const uint8_t> frame, uint32_t linear = 0);
  /// The same, with the action that was counted and the frame that came out.
  Result<Treatment> treat(std::span<const uint8_t> frame, uint32_t linear = 0);
  /// Nanoseconds per run, as the kernel measured them.
  Result<double> time(std::span<const uint8_t> frame, uint32_t repeat);

  /// Counters summed over CPUs, of slots 0..count-1; all slots if no count is given.
  Result<std::vector<tfo_counters>> counters(uint32_t count = UINT32_MAX) const;
  int program_fd() const;
  int map_fd(const char* name) const;
  tfo_control& control() const { return *control_; }

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  XdpUnderTest() = default;
  Result<> map_control();

  std::unique_ptr<bpf_object, Close> object_;
  std::shared_ptr<tfo_control> control_;  // mapped, unmapped with the last copy
  bool count_other_ = false;
  uint32_t slots_ = 1;  // the node's and those of set_vips(): no other counts
};

}  // namespace tfo::test
