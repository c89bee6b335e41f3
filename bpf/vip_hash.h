/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: the two rows of the VIP table that an (address, port) may stand in. User space
 * places the entries, the program looks at both rows; the seed is secret and new at every first
 * load, so nobody can choose addresses that collide. A change here raises TFO_ABI_VERSION.
 */
#ifndef TFO_VIP_HASH_H
#define TFO_VIP_HASH_H

#include "cookie.h"

/* An address as loaded from struct tfo_vip.address; port in network order, 0 = any. */
struct tfo_vip_key {
	__u64 high;
	__u64 low;
	__u16 port;
};

/* Bytes 8..11 of an IPv4-mapped address as they are loaded. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TFO_MAPPED 0xffff0000U
#else
#define TFO_MAPPED 0x0000ffffU
#endif

tfo_inline __u32 tfo_mapped_part(__u64 low)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u32)low;
#else
	return low >> 32;
#endif
}

/* The destination of a flow as a key; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
tfo_inline void tfo_vip_key_of(struct tfo_vip_key *key, const struct tfo_flow *flow, __u16 port)
{
	key->port = port;
	if (flow->family != 4) {
		key->high = flow->word[2];
		key->low = flow->word[3];
		/* A mapped address in an IPv6 header is nobody's: no row has this key. */
		if (!key->high && tfo_mapped_part(key->low) == TFO_MAPPED)
			key->high = 1;
		return;
	}
	key->high = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	key->low = (flow->word[0] & 0xffffffff00000000ULL) | TFO_MAPPED;
#else
	key->low = (__u64)TFO_MAPPED << 32 | (flow->word[0] & 0xffffffffU);
#endif
}

/*
 * First row = result & mask, second row = result >> 32 & mask. Neighbouring addresses differ in the
 * highest bytes of a little-endian load, where a multiplication alone spreads nothing: each word is
 * folded before it is multiplied, and the sum of both again, or half a network would share its
 * rows.
 */
tfo_inline __u64 tfo_vip_hash(const struct tfo_vip_key *key, const __u64 seed[2])
{
	__u64 low = key->low ^ seed[0];
	__u64 high = (key->high ^ seed[1]) + ((__u64)key->port << 20);
	__u64 h;

	low = (low ^ low >> 32) * 0x9e3779b97f4a7c15ULL;
	high = (high ^ high >> 32) * 0xd6e8feb86659fd93ULL;
	h = low ^ (high << 32 | high >> 32);
	h = (h ^ h >> 32) * 0x94d049bb133111ebULL;
	return h ^ h >> 32;
}

#endif /* TFO_VIP_HASH_H */
