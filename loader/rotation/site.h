// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "loader/etcd/client.h"
#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/result.h"
#include "loader/rotation/agent.h"
#include "loader/rotation/document.h"
#include "loader/rotation/seal.h"
#include "loader/rotation/state_file.h"
#include "loader/rotation/troubles.h"

namespace tfo::rotation {

/// What the parts of an agent share: the way to etcd, the farm key, and what this node remembers.
class Site {
 public:
  /// Reads the farm key and the state file; asks nothing of etcd yet.
  static Result<std::unique_ptr<Site>> create(EventLoop& loop, Settings settings,
                                              const Clock& clock, std::function<void()> changed);

  EventLoop& loop;
  const Settings settings;
  const Clock& clock;
  const std::string instance;  ///< Ack::instance
  Troubles troubles;
  std::unique_ptr<etcd::Client> client;
  Remembered remembered;             ///< as it is in the state file
  std::optional<Document> document;  ///< remembered.sealed, opened
  std::string hash;                  ///< hash_of() it
  /// The document, where there must be one; else an empty one.
  const Document& known() const { return document ? *document : nothing_; }

  /// "/tfo/FARM/POOL/NAME", and with this node's name behind it.
  std::string key(std::string_view name) const;
  std::string own_key(std::string_view prefix) const { return key(own(prefix)); }
  std::string own(std::string_view prefix) const;

  /// Unix seconds; never lower than the newest issued_at that was seen.
  int64_t now() const;

  /// Between two linearizable reads: 8 s, or half a lease.
  std::chrono::milliseconds poll() const;
  /// For so long after a read the document counts as confirmed: 10 s, or less.
  std::chrono::milliseconds confirm_window() const;
  std::chrono::milliseconds ttl() const { return settings.lease; }

  /// Opens a value of the pool that was sealed under a line not below the persisted min_key.
  Result<Opened> open(const std::string& name, const std::string& value) const;
  /// The same under any line: for what nobody gains anything by bringing back.
  Result<Opened> open_any(const std::string& name, const std::string& value) const;
  /// Under `number`, or the lowest line that may seal. Without that line: raises farm_key_missing.
  Result<std::string> seal(const std::string& name, const Counter& counter, std::string_view text,
                           uint32_t number = 0);
  /// Was it sealed under a line that the farm key file does not have?
  bool lacks_line_of(const std::string& value) const;
  const FarmKey& farm_key() const { return farm_key_; }
  /// Reads the farm key file again if it was changed. True: there are other lines now.
  bool reload_farm_key();

  /// etcd did not do what was asked: store_unreachable, or store_refused, told for a while.
  void tell(const etcd::Fault& fault);

  /// Makes the document durable, and then ours. An error raises state_unsaved.
  Result<> keep(const Document& next, const std::string& sealed);
  /// Whether the member record was written.
  void keep_joined(bool joined);

 private:
  Site(EventLoop& on, Settings with, const Clock& by, std::function<void()> changed);
  Result<> load();
  Result<> open_remembered();
  Result<> save(const Remembered& next);
  void tell_lost();

  Document nothing_;
  FarmKey farm_key_;
  std::string farm_key_stamp_;
  Sealer sealer_;
  StateFile state_file_;
};

/// Number of the farm key's line that a value names; 0: none.
uint32_t claimed_line(std::string_view value);

/// A random part of `most`: a thousand nodes must not do the same at once.
std::chrono::milliseconds random_part(std::chrono::milliseconds most);

}  // namespace tfo::rotation
