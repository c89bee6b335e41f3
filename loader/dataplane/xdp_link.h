// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <string>

#include "loader/config.h"
#include "loader/dataplane/device.h"
#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// An XDP program on an interface, held by a bpf_link: as long as the link is pinned or open,
/// nobody else can take the hook, and its program is exchanged between two packets.
class XdpLink {
 public:
  /// Native first; kAuto falls back to generic if the driver refuses native, and `note` then says
  /// why. An occupied hook is never a reason to fall back; the error then names the command that
  /// frees it, for which `instances`, `<bpffs>/tfoguard`, is searched.
  static Result<XdpLink> attach(int program_fd, const Device& device, AttachMode mode,
                                const std::filesystem::path& instances, std::string& note);
  static Result<XdpLink> open_pin(const std::filesystem::path& path);

  Result<> pin(const std::filesystem::path& path) const;

  /// The next packet meets this program. ENOLINK, the device went away, is no error: false.
  Result<bool> update(int program_fd) const;

  /// Of the device it sits on; 0 if that vanished, or someone detached the link by force.
  unsigned ifindex() const;

  /// Whether it is what runs on this device of our network namespace. The link's own ifindex does
  /// not tell: another namespace counts its devices anew.
  bool serves(unsigned ifindex) const;

  /// At once; the pin, if there is one, remains.
  void detach() const;

 private:
  explicit XdpLink(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Is the program that sits on this device in generic mode?
bool is_generic(unsigned ifindex);

}  // namespace tfo
