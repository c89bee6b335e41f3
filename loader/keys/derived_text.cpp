// SPDX-License-Identifier: BSD-2-Clause
// What a derived pool says of its troubles.
#include "loader/keys/derived_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "loader/keys/derived_store.h"

namespace tfo {

std::string utc_text(int64_t unix_s) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(unix_s)));
}

std::vector<StoreTrouble> DerivedStore::troubles() const {
  std::vector<StoreTrouble> all = {{.id = "clock_unsure", .evidence = {}},
                                   {.id = "clock_suspect", .evidence = stepped_text()},
                                   {.id = "secret_replaced", .evidence = replaced_text()}};
  if (!at_.sure) {
    all[0].evidence = fmt::format(
        "the wall clock is before {}, which was acted on already, and nobody keeps it right: the "
        "keys stay as they are until it is synchronised (NTP) or past that; if it is right now, "
        "and "
        "was ahead before, stop tfod, remove {} and start it",
        utc_text(at_.unix_s), files_.state);
  }
  return all;
}

std::string DerivedStore::stepped_text() const {
  if (staged_.suspect(at_.unix_s, policy_.interval)) {
    return fmt::format(
        "{} cookies came under a key that nobody should mint with yet (last seen {}): a server's "
        "clock is ahead, or ours is behind, by more than max_skew; nothing is renewed until one "
        "interval was quiet",
        staged_.seen(), utc_text(staged_.grew_at()));
  }
  if (at_.unix_s >= stepped_until_) return "";
  return fmt::format(
      "our wall clock was set by {} s, more than max_skew allows: nothing is renewed until {}",
      step_, utc_text(stepped_until_));
}

std::string DerivedStore::replaced_text() const {
  if (!next_ && at_.unix_s >= replaced_until_) return "";
  const std::string costs = fmt::format(
      "servers refuse cookies under the old one, and for about {} s around the change each "
      "other's; "
      "a line `INDEX SECRET` for an interval to come costs nothing",
      (2 * policy_.max_skew_ms + 999) / 1000);
  if (next_) {
    return fmt::format("{} is not the secret of before, comes into force at {}: {}", files_.secret,
                       utc_text(half_.ends(policy_.interval)), costs);
  }
  if (!cold_) {
    return fmt::format("{} is not the secret of before since the last half interval: {}",
                       files_.secret, costs);
  }
  const std::string_view kept =
      inherited_
          ? "the keys of before stay accepted here"
          : "of the old keys only those stay accepted here that this host's servers hold, so "
            "none on a balancer; what comes under the others is treated as a wrong cookie";
  return fmt::format(
      "{} is not the secret that this node had before tfod was started or its configuration loaded "
      "again: it is in force here at once, and on nodes that run on from their next half interval; "
      "{}; {}",
      files_.secret, kept, costs);
}

}  // namespace tfo
