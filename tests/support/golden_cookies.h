// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>

namespace tfo::test {

struct GoldenCookie {
  const char* key;  ///< as /proc/sys/net/ipv4/tcp_fastopen_key shows it
  const char* source;
  const char* destination;
  const char* cookie;
};

/// Cookies that Linux minted (5.3 and later), byte for byte as on the wire. The first key is
/// symmetric within each word: only the others tell a wrong byte order of the key.
inline constexpr std::array kGoldenCookies = {
    GoldenCookie{"a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "192.0.2.1", "192.168.0.1",
                 "3021b9d889017eeb"},
    GoldenCookie{"a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1",
                 "c1d1e9742a47a9bc"},
    GoldenCookie{"00000000-00000000-00000000-00000000", "192.0.2.1", "192.168.0.1",
                 "b7c12350a90dc8f5"},
    GoldenCookie{"00000000-00000000-00000000-00000000", "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1",
                 "82af1a8f9a205c34"},
    GoldenCookie{"a0bf63f7-ed803d81-cd641d30-cebc4a90", "192.0.2.1", "192.168.0.1",
                 "f49b0ef989d9f624"},
    GoldenCookie{"a0bf63f7-ed803d81-cd641d30-cebc4a90", "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1",
                 "792f542eed8979b8"},
    GoldenCookie{"00112233-44556677-8899aabb-ccddeeff", "10.88.0.9", "10.88.0.1",
                 "c733c9377af1c52f"},
    GoldenCookie{"00112233-44556677-8899aabb-ccddeeff", "fd88::9", "fd88::1", "6c1052c41e70cfb4"},
    GoldenCookie{"0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0", "10.88.0.9", "10.88.0.1",
                 "4000f1a98367a91e"},
};

}  // namespace tfo::test
