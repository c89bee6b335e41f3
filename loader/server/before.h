// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "loader/keys/key.h"
#include "loader/keys/secret.h"
#include "loader/network_namespace.h"
#include "loader/result.h"

namespace tfo {

/// What a namespace held before tfod first wrote to it.
struct Before {
  std::string netns;        ///< NetworkNamespace::path(); empty: tfod's own
  uint64_t cookie = 0;      ///< NetworkNamespace::cookie()
  std::vector<Key> keys;    ///< primary first; empty: it had none
  bool server_bit = false;  ///< tcp_fastopen & 0x2
};

/// All of one tfod. Of no use after a reboot, when the kernel begins anew.
struct BeforeState {
  std::string boot_id;
  std::vector<Before> namespaces;
};

/// The document, and back. Secret: it holds keys. An error never repeats what was read.
WipedString encode_before(const BeforeState& state);
Result<BeforeState> decode_before(std::string_view text);

/// What restoring did to one namespace.
struct Restored {
  std::string netns;   ///< label
  std::string detail;  ///< in words: what was put back, and what could not be
  bool done = false;
};

/// Remembers in a file (mode 0600, replaced as a whole) what each namespace held before tfod first
/// wrote to it, so that neither kill -9 nor a restart makes our own values pass for the old ones.
class BeforeFile {
 public:
  using Namespaces = std::map<std::string, std::shared_ptr<NetworkNamespace>>;  // by path

  /// `boot_id`: Moment::boot_id.
  BeforeFile(std::string path, std::string boot_id)
      : path_(std::move(path)), boot_id_(std::move(boot_id)) {}

  /// Call before anything is written to them. Namespaces that are known from this boot keep what
  /// was remembered. Returns those that are new. After an error the file is as it was, and nothing
  /// of them can be restored after this process.
  Result<std::vector<Before>> remember(const Namespaces& namespaces);

  /// Writes back what was remembered, the server bit (no other bit) and the keys. A namespace that
  /// had no key keeps ours, as the kernel knows no way back to "none". Those that were restored are
  /// forgotten.
  Result<std::vector<Restored>> restore(const Namespaces& namespaces);

  /// restore() for a tfod that is gone: opens the remembered namespaces itself. Needs CAP_SYS_ADMIN
  /// and CAP_NET_ADMIN. Nothing remembered: an empty list.
  Result<std::vector<Restored>> restore_all();

 private:
  Result<BeforeState> load() const;
  Result<> save(const BeforeState& state) const;

  std::string path_;
  std::string boot_id_;
};

}  // namespace tfo
