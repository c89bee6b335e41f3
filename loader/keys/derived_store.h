// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/keys/derived_clock.h"
#include "loader/keys/derived_ring.h"
#include "loader/keys/derived_state.h"
#include "loader/keys/store.h"

namespace tfo {

/// Keys that are a function of a secret and the clock: any number of nodes rotates in step without
/// a message (see derived_ring() and DerivedSecret). Nothing is waited for: two halves of an
/// interval lie between a key's arrival in the ring and the first cookie under it.
///
/// The secret is read again at every step. One that was replaced comes into force at the next half
/// interval, on all nodes at the same time; its keys are accepted from the moment it is seen, and
/// those of the old one until their not_after (this process's life long: they are not stored).
/// Servers refuse what was minted under the old one, but for what is renewed, and for about twice
/// max_skew some servers mint what others refuse. A secret of lines changes without that. A secret
/// that cannot be read is an error of every step: the ring stays, and ends at its not_after.
/// One that was replaced and not yet in force when this process began is in force at once: nobody
/// here has the old one. It is noticed by the names of keys in the state file, and of the old keys
/// those stay accepted that the servers hold.
///
/// Troubles: clock_unsure (see ClockTrust; the keys stay as they are), clock_suspect (see
/// StagedWatch, or our own clock was set by more than the margin: what was accepted before stays
/// so, and nothing is renewed until one interval was quiet), secret_replaced (for one interval).
/// The last two outlive a restart.
class DerivedStore : public KeyStore {
 public:
  struct Files {
    std::string secret;
    std::string state;
  };
  /// Cookies of this pool's VIPs under the staged key so far; nothing: unknown.
  using CountStaged = std::function<std::optional<StagedWatch::Count>()>;

  DerivedStore(Files files, DerivedPolicy policy, CountStaged count_staged = {});

  /// Before open(): goes on accepting the keys of the ring that this store's one replaces.
  void inherit(const KeyRing& before, int64_t now);

  std::string kind() const override { return "derived"; }
  /// Fails without a secret that can be read. On the very first start also if the clock is neither
  /// synchronised nor later than the secret file's own time.
  Result<> open(const Moment& now, const std::vector<Key>& host) override;
  void abandon() override;
  const KeyRing& ring() const override { return ring_; }
  Result<bool> step(const Moment& now, const Confirmation& confirmed) override;
  Result<> rotate(const Moment& now) override;
  Result<> import(const Moment& now, const std::vector<Key>& keys) override;
  std::optional<int64_t> next_wakeup() const override;
  std::optional<int64_t> next_rotation() const override;
  bool waits_for_sinks() const override { return false; }
  std::vector<StoreTrouble> troubles() const override;

 private:
  Result<> check_first_start(const Moment& now) const;
  Result<> look_at_secret(const DerivedHalf& half);
  Result<> enter(const DerivedHalf& half);
  void clock_set();
  void replace_secret(const KeyRing& before, const KeyRing& after);
  void restore(const DerivedState& known);
  bool has_other_slots(const DerivedState& known) const;
  void take_host_keys(const std::vector<Key>& host);
  std::string stepped_text() const;
  std::string replaced_text() const;
  Renewal renewal() const;
  bool publish();
  void watch(const Confirmation& confirmed);
  Result<> save();

  Files files_;
  DerivedStateFile state_;
  DerivedPolicy policy_;
  CountStaged count_staged_;
  ClockTrust clock_;
  StagedWatch staged_;
  ClockTrust::Reading at_;  ///< of the last step

  std::unique_ptr<DerivedSecret> secret_;  ///< in force; always there after open()
  std::unique_ptr<DerivedSecret> next_;    ///< replaces it at the next half
  DerivedHalf half_;
  KeyRing base_;                    ///< of secret_ in half_
  std::vector<Generation> guests_;  ///< accepted besides: of another secret or store
  Renewal renewal_;                 ///< while the secret is lost: as it was
  KeyRing ring_;                    ///< what is handed out
  int64_t published_at_ = 0;
  int64_t renew_from_ = 0;      ///< servers are known to have changed over to the present secret
  int64_t replaced_until_ = 0;  ///< for how long secret_replaced is said
  int64_t stepped_until_ = 0;   ///< for how long our own clock is suspect
  int64_t step_ = 0;            ///< by which it was set
  bool lost_ = false;           ///< the secret cannot be read
  bool unsaved_ = false;
  bool made_ = false;                  ///< the state file was made by open()
  bool inherited_ = false;             ///< the ring of before is known
  bool cold_ = false;                  ///< replaced_until_ is from before this process or store
  std::optional<DerivedState> found_;  ///< what open() found in the state file
};

}  // namespace tfo
