// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "loader/dataplane/live_set.h"
#include "loader/dataplane/program.h"

namespace tfo {

/// The very program that runs on the wire, on maps of its own: nothing pinned, nothing attached,
/// gone with the object. For measuring, replay and tests.
class PrivateLoad {
 public:
  /// `sizes`: MapSizes::for_config(vips, rows). The clock stands still at the time of the load.
  static Result<PrivateLoad> load(const tfo_load_config& config, const MapSizes& sizes = {});

  Result<> set_vips(const std::vector<VipConfig>& vips);
  Result<> set_ring(const std::string& pool, const tfo_ring& ring);
  /// The clock of the program: boot time in ns, or a capture's.
  void set_now(uint64_t now_ns) { set_->maps().control.set_now_ns(now_ns); }

  Result<TestRun> run(std::span<const uint8_t> frame, uint32_t repeat = 1) const {
    return test_run(program_fd(), frame, repeat);
  }
  Result<Snapshot> counters() const { return set_->counters(); }
  /// The XDP program; valid as long as this object.
  int program_fd() const;
  /// One more load on the same maps, with other read-only data: another interface of the node.
  Result<XdpSkeleton> load_beside(const tfo_load_config& config) const {
    return load_program(set_->maps(), config);
  }
  const MapSet& maps() const { return set_->maps(); }
  const LiveSet& live() const { return *set_; }

 private:
  PrivateLoad(std::unique_ptr<GracePeriod> grace, std::unique_ptr<LiveSet> set,
              XdpSkeleton program);
  std::unique_ptr<GracePeriod> grace_;  // the set points to it
  std::unique_ptr<LiveSet> set_;
  XdpSkeleton program_;
};

}  // namespace tfo
