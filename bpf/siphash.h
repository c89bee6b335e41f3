/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: SipHash-2-4 (Aumasson and Bernstein, 2012) for the two lengths that a Fast Open
 * cookie hashes: 8 bytes (IPv4) and 32 bytes (IPv6). Words are little-endian loads of the
 * message; the 64-bit result stored little-endian is the byte string of the reference.
 */
#ifndef TFO_SIPHASH_H
#define TFO_SIPHASH_H

#include "core.h"

struct tfo_sip {
	__u64 v0, v1, v2, v3;
};

tfo_inline __u64 tfo_rotl(__u64 value, int bits)
{
	return value << bits | value >> (64 - bits);
}

tfo_inline void tfo_sip_round(struct tfo_sip *s)
{
	s->v0 += s->v1;
	s->v1 = tfo_rotl(s->v1, 13) ^ s->v0;
	s->v0 = tfo_rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = tfo_rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = tfo_rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = tfo_rotl(s->v1, 17) ^ s->v2;
	s->v2 = tfo_rotl(s->v2, 32);
}

tfo_inline void tfo_sip_init(struct tfo_sip *s, __u64 k0, __u64 k1)
{
	s->v0 = k0 ^ 0x736f6d6570736575ULL;
	s->v1 = k1 ^ 0x646f72616e646f6dULL;
	s->v2 = k0 ^ 0x6c7967656e657261ULL;
	s->v3 = k1 ^ 0x7465646279746573ULL;
}

tfo_inline void tfo_sip_word(struct tfo_sip *s, __u64 word)
{
	s->v3 ^= word;
	tfo_sip_round(s);
	tfo_sip_round(s);
	s->v0 ^= word;
}

/* `bytes` is the length of the message, a multiple of 8: the last word holds nothing else. */
tfo_inline __u64 tfo_sip_final(struct tfo_sip *s, __u64 bytes)
{
	tfo_sip_word(s, bytes << 56);
	s->v2 ^= 0xff;
	tfo_sip_round(s);
	tfo_sip_round(s);
	tfo_sip_round(s);
	tfo_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

tfo_inline __u64 tfo_siphash_8(__u64 k0, __u64 k1, __u64 word)
{
	struct tfo_sip s;

	tfo_sip_init(&s, k0, k1);
	tfo_sip_word(&s, word);
	return tfo_sip_final(&s, 8);
}

tfo_inline __u64 tfo_siphash_32(__u64 k0, __u64 k1, const __u64 word[4])
{
	struct tfo_sip s;

	tfo_sip_init(&s, k0, k1);
	tfo_sip_word(&s, word[0]);
	tfo_sip_word(&s, word[1]);
	tfo_sip_word(&s, word[2]);
	tfo_sip_word(&s, word[3]);
	return tfo_sip_final(&s, 32);
}

#endif /* TFO_SIPHASH_H */
