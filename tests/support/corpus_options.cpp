// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/corpus.h"

namespace tfo::test {
namespace {

Bytes random_cookie(Random& random, const Packet& packet) {
  static constexpr std::array kKeys = {kCurrentKey, kCurrentKey, kPreviousKey,
                                       kStagedKey,  kRetiredKey, kOlderKey,
                                       kExpiredKey, kRevokedKey, kStrangerKey};
  const uint64_t which = random.below(12);
  if (which < kKeys.size()) return cookie_of(kKeys[which], packet);
  if (which == kKeys.size()) {
    return cookie_of(full_ring_key(static_cast<int>(random.below(17))).c_str(), packet);
  }
  return random.bytes(8);
}

Bytes fast_open_of(Random& random, View cookie) {
  return random.one_in(3) ? fast_open_experimental(cookie) : fast_open(cookie);
}

Bytes random_option(Random& random, const Packet& packet) {
  switch (random.below(18)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 15:
    case 16:
      return fast_open_of(random, random_cookie(random, packet));
    case 5:
    case 6:
      return fast_open_of(random, {});
    case 7:
    case 8:
      return fast_open_of(random, random.bytes(random.below(21)));
    case 9:
      return Bytes(1 + random.below(3), 1);
    case 10:
      return tcp_option(2, Bytes{5, 0xb4});
    case 11:
      return tcp_option(8, random.bytes(8));
    case 12:  // a length that lies by a little
      return tcp_option_lie(random.one_in(2) ? 34 : 254, static_cast<uint8_t>(random.below(24)),
                            join({Bytes{0xf9, 0x89}, random.bytes(random.below(12))}));
    case 13:
      return tcp_option(254, random.bytes(random.below(10)));
    case 14:
      return tcp_option_lie(random.byte(), random.byte(), random.bytes(random.below(4)));
    default:
      return random.one_in(3) ? Bytes{0} : random.bytes(1 + random.below(4));
  }
}

Bytes linux_options() { return from_hex("020405b4 0402 080a0001020300000000 01 030307"); }

}  // namespace

Bytes random_options(Random& random, const Packet& packet) {
  Bytes options;
  if (random.one_in(4)) options = linux_options();
  if (random.one_in(8)) return options;
  for (uint64_t left = 1 + random.below(random.one_in(3) ? 4 : 1); left != 0; left--) {
    const Bytes option = random_option(random, packet);
    if (options.size() + option.size() > 40) break;
    options = join({options, option});
  }
  if (random.one_in(3)) {
    while (options.size() % 4 != 0) options.push_back(1);
  }
  return options;
}

}  // namespace tfo::test
