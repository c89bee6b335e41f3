// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// Called with the name of a step once it is done; see DataplaneOptions::checkpoint.
using Checkpoint = std::function<void(const char* step)>;

/// The pin directory of one instance, locked for this process.
///
///     maps/       the set in force: whole, or absent
///     maps_new/   a set being made; once it is ready, programs may already count in it
///     maps/carry_N/  a ready maps_new of another version that was given up; its counts are owed
///     maps_old/   a set whose totals have been carried: to be removed
///     links/IF    the bpf_link of each interface
///     egress/IF   what sees packets leave it: a link, or a filter's program (egress_hook.h)
///
/// Every change of state is one rename, so that the next start finds its way from any instant.
/// Names have no dots: bpffs reserves them (bpf_lookup() in kernel/bpf/inode.c).
class PinDirectory {
 public:
  /// Creates what is missing, 0700, and takes the lock. Fails if no bpffs is mounted there, or if
  /// another process holds the lock.
  static Result<PinDirectory> open(const std::filesystem::path& path, Checkpoint checkpoint);

  /// `<bpffs>/tfoguard`, where every instance has its directory.
  std::filesystem::path instances() const { return path_.parent_path(); }
  std::filesystem::path maps() const { return path_ / "maps"; }
  std::filesystem::path maps_new() const { return path_ / "maps_new"; }
  bool has_maps() const;
  bool has_maps_new() const;
  /// The pin of an interface's link; dots of its name are written as %2e.
  std::filesystem::path link(const std::string& interface) const;
  /// Interfaces whose link is pinned.
  std::vector<std::string> links() const;
  /// The pin of what sees an interface's packets leave, and who has one.
  std::filesystem::path egress(const std::string& interface) const;
  std::vector<std::string> egresses() const;

  /// Finishes what an earlier process had begun; afterwards only maps, maps_new and maps/carry_N
  /// may exist, and maps_new only together with maps.
  Result<> recover() const;

  /// An empty maps_new.
  Result<> begin() const;
  /// The set in maps_new is given up; its counts are kept for the next one.
  Result<> set_aside() const;
  /// Removes maps_new.
  Result<> abandon() const;
  /// maps_new becomes maps, the old maps go.
  Result<> commit() const;
  /// Sets whose counts are owed by the set in force: maps itself, then maps/carry_N.
  std::vector<std::filesystem::path> owed() const;

  /// Every pin and the directory itself. Links go first.
  Result<> remove_all() const;

  void step(const char* name) const {
    if (checkpoint_) checkpoint_(name);
  }

 private:
  PinDirectory(std::filesystem::path path, Fd lock, Checkpoint checkpoint);
  std::filesystem::path maps_old() const { return path_ / "maps_old"; }
  Result<> finish_commit() const;
  std::filesystem::path path_;
  Fd lock_;
  Checkpoint checkpoint_;
};

}  // namespace tfo
