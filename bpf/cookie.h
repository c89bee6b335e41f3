/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: the Fast Open cookie as Linux mints it (__tcp_fastopen_cookie_gen_cipher in
 * net/ipv4/tcp_fastopen.c): SipHash-2-4 over source || destination address as on the wire, no
 * ports, no padding; the result stored little-endian. On a little-endian host every value below
 * is a plain load, nothing is swapped.
 */
#ifndef TFO_COOKIE_H
#define TFO_COOKIE_H

#include "siphash.h"

/* The addresses of a SYN: one word of 8 bytes for IPv4, four for IPv6. */
struct tfo_flow {
	__u64 word[4];
	__u8 family; /* 4 or 6 */
};

/*
 * Reads the addresses from the IP header at `offset`. Returns 0 if it is not whole, which
 * tfo_parse rules out; the verifier wants to see it.
 */
tfo_inline int tfo_load_flow(const struct tfo_frame *frame, __u8 family, __u32 offset,
			     struct tfo_flow *flow)
{
	const __u8 *ip;

	flow->family = family;
	if (family == 4) {
		ip = tfo_at(frame, offset, 20);
		if (!ip)
			return 0;
		flow->word[0] = tfo_load64(ip + 12);
		return 1;
	}
	ip = tfo_at(frame, offset, 40);
	if (!ip)
		return 0;
	flow->word[0] = tfo_load64(ip + 8);
	flow->word[1] = tfo_load64(ip + 16);
	flow->word[2] = tfo_load64(ip + 24);
	flow->word[3] = tfo_load64(ip + 32);
	return 1;
}

/* A copy in memory, all of it written: old verifiers let nobody read a word that was not. */
tfo_inline void tfo_copy_flow(struct tfo_flow *to, const struct tfo_flow *flow)
{
	*to = (struct tfo_flow){.word = {flow->word[0]}, .family = flow->family};
	if (flow->family == 4)
		return;
	to->word[1] = flow->word[1];
	to->word[2] = flow->word[2];
	to->word[3] = flow->word[3];
}

/* The cookie that a kernel holding this key mints for this flow. */
tfo_inline __u64 tfo_make_cookie(__u64 k0, __u64 k1, const struct tfo_flow *flow)
{
	return flow->family == 4 ? tfo_siphash_8(k0, k1, flow->word[0])
				 : tfo_siphash_32(k0, k1, flow->word);
}

/* The reason that a match under a key in this place gives. */
tfo_inline int tfo_place_reason(__u32 place)
{
	switch (place) {
	case TFO_PLACE_CURRENT:
		return TFO_COOKIE_CURRENT;
	case TFO_PLACE_PREVIOUS:
		return TFO_COOKIE_PREVIOUS;
	case TFO_PLACE_STAGED:
		return TFO_COOKIE_STAGED;
	case TFO_PLACE_RETIRED:
		return TFO_COOKIE_RETIRED;
	}
	return TFO_COOKIE_REVOKED;
}

/*
 * One key: its reason if it made this cookie, TFO_COOKIE_INVALID if not, TFO_NO_KEY if it is past
 * its not_after. The compare is one 64-bit word, so its time says nothing about the cookie.
 */
tfo_inline int tfo_try_key(const struct tfo_generation *g, __u64 now_ns,
			   const struct tfo_flow *flow, __u64 cookie)
{
	if (g->not_after_ns < now_ns)
		return TFO_NO_KEY;
	if (tfo_make_cookie(g->k0, g->k1, flow) != cookie)
		return TFO_COOKIE_INVALID;
	return tfo_place_reason(g->place);
}

tfo_inline int tfo_is_match(int reason)
{
	return reason != TFO_NO_KEY && reason != TFO_COOKIE_INVALID;
}

/* A reason, and where it is a match the place in the ring of the key, in one word. */
tfo_inline int tfo_match(int reason, __u32 generation)
{
	return reason | (int)generation << 8;
}
tfo_inline int tfo_match_reason(int match)
{
	return match & 255;
}
tfo_inline __u8 tfo_match_generation(int match)
{
	return match >> 8 & 15;
}

/*
 * The ring's keys from `first` on, each hashed only after the one before it missed. `reason` is
 * what the keys before `first` gave: TFO_NO_KEY if there were none. Returns a tfo_match().
 */
tfo_inline int tfo_match_cookie(const struct tfo_ring *ring, __u32 first, int reason, __u64 now_ns,
				const struct tfo_flow *flow, __u64 cookie)
{
	__u32 i;

	for (i = first; i < TFO_MAX_GENERATIONS && i < ring->count; i++) {
		int tried = tfo_try_key(&ring->generation[i], now_ns, flow, cookie);

		if (tfo_is_match(tried))
			return tfo_match(tried, i);
		if (tried == TFO_COOKIE_INVALID)
			reason = TFO_COOKIE_INVALID;
	}
	return reason;
}

#endif /* TFO_COOKIE_H */
