/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: which clients a VIP in mode canary is enforced for. The choice is made per prefix, /24
 * for IPv4 and /48 for IPv6, since what is done to one client of a network is done to its
 * neighbours; by a hash without a seed, so that every node of a farm, today and after a restart,
 * chooses the same; and so that whoever is in at 5 % is in at 10 %.
 *
 * Hash: the prefix as a number (IPv4 `a << 16 | b << 8 | c`, IPv6 the first 48 bits, with bit 63
 * set), times 0x9e3779b97f4a7c15, then the finalizer of MurmurHash3 (fmix64). Its upper 32 bits
 * times 10,000, shifted right by 32, is the prefix's place in [0, 10000): it is in if that is below
 * the share in hundredths of a percent.
 */
#ifndef TFO_CANARY_H
#define TFO_CANARY_H

#include "cookie.h"

#define TFO_CANARY_ALL 10000 /* hundredths of a percent */

/* The client's prefix as a number; see above. */
tfo_inline __u64 tfo_client_prefix(const struct tfo_flow *flow)
{
	__u64 first = tfo_be64(flow->word[0]);

	return flow->family == 4 ? first >> 40 : first >> 16 | 1ULL << 63;
}

/* 0..9999 */
tfo_inline __u32 tfo_canary_place(const struct tfo_flow *flow)
{
	__u64 hash = tfo_client_prefix(flow) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdULL;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ULL;
	hash ^= hash >> 33;
	return (hash >> 32) * TFO_CANARY_ALL >> 32;
}

/* `mode` (enum tfo_vip_mode) for this client: canary becomes one of the other two. */
tfo_inline __u8 tfo_client_mode(__u8 mode, __u16 share, const struct tfo_flow *flow)
{
	if (mode != TFO_CANARY)
		return mode;
	return tfo_canary_place(flow) < share ? TFO_ENFORCE : TFO_OBSERVE;
}

#endif /* TFO_CANARY_H */
