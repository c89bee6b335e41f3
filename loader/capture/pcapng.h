// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace tfo {

/// Block types, option codes and lengths of pcapng (draft-ietf-opsawg-pcapng).
inline constexpr uint32_t kBlockSection = 0x0a0d0d0a;  // the same in either byte order
inline constexpr uint32_t kBlockInterface = 1;
inline constexpr uint32_t kBlockPacket = 2;  // obsolete
inline constexpr uint32_t kBlockSimplePacket = 3;
inline constexpr uint32_t kBlockEnhancedPacket = 6;
/// Blocks without a packet that Wireshark shows as frames all the same (wiretap/pcapng.c).
inline constexpr uint32_t kBlockJournal = 9;  // an entry of systemd's journal
inline constexpr uint32_t kBlockSysdig = 0x204;
inline constexpr uint32_t kBlockSysdig2 = 0x216;
inline constexpr uint32_t kBlockSysdigLarge = 0x221;
inline constexpr uint32_t kBlockCustom = 0xbad;
inline constexpr uint32_t kBlockCustomNoCopy = 0x40000bad;
inline constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;

inline constexpr size_t kBlockHead = 8;    // type and total length
inline constexpr size_t kBlockFrame = 12;  // those, and the total length again behind the body

inline constexpr uint16_t kOptionEnd = 0;
inline constexpr uint16_t kOptionComment = 1;
inline constexpr uint16_t kOptionFlags = 2;           // epb_flags, pack_flags
inline constexpr uint16_t kOptionInterfaceName = 2;   // if_name
inline constexpr uint16_t kOptionApplication = 4;     // shb_userappl
inline constexpr uint16_t kOptionTimeResolution = 9;  // if_tsresol
inline constexpr uint16_t kOptionTimeOffset = 14;     // if_tsoffset
inline constexpr uint8_t kNanoseconds = 9;            // if_tsresol of 10^-9 s

/// Bodies and option values are filled up to a multiple of 4 bytes.
inline constexpr size_t padded(size_t length) { return (length + 3) & ~size_t{3}; }

}  // namespace tfo
