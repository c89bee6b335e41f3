// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "tests/support/golden_cookies.h"
#include "tests/support/reference.h"

namespace tfo::test {
namespace {

TEST(ReferenceGolden, CookiesOfTheLiveKernel) {
  for (const GoldenCookie& golden : kGoldenCookies) {
    const auto cookie = reference_cookie(key_bytes(golden.key), Address::of(golden.source),
                                         Address::of(golden.destination));
    EXPECT_EQ(to_hex(cookie), golden.cookie) << golden.key << ' ' << golden.source;
  }
}

TEST(ReferenceGolden, KeyTextIsFourLittleEndianWords) {
  EXPECT_EQ(to_hex(key_bytes("00112233-44556677-8899aabb-ccddeeff")),
            "3322110077665544bbaa9988ffeeddcc");
}

}  // namespace
}  // namespace tfo::test
