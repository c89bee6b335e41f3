/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: what a SYN-ACK to a destination of this kind says, and where the addresses of a
 * declared prefix are counted.
 */
#ifndef TFO_SYNACK_CORE_H
#define TFO_SYNACK_CORE_H

#include "stamp.h"
#include "tuple.h"
#include "vip_hash.h"

enum tfo_synack_says {
	TFO_SYNACK_UNSOLICITED = 0,
	TFO_SYNACK_ANSWER = 1, /* to a SYN that is remembered */
	TFO_SYNACK_ASK = 2, /* not remembered: a socket may know more */
	TFO_SYNACK_KNOWN = 3, /* by a socket that has the connection */
	TFO_SYNACK_BLIND = 4, /* by a socket that waits for it */
};

/*
 * `remembered`: the SYN is in a filter. The acknowledged number is not asked: SYN proxies and
 * firewalls that test for a live host answer with a wrong one on purpose.
 */
tfo_inline int tfo_synack_judge(__u32 kind, int remembered, int sockets)
{
	if (kind != TFO_TARGET_TRACKED)
		return TFO_SYNACK_UNSOLICITED;
	if (remembered)
		return TFO_SYNACK_ANSWER;
	return sockets ? TFO_SYNACK_ASK : TFO_SYNACK_UNSOLICITED;
}

/* Socket states of the kernel (include/net/tcp_states.h); 0: there is none. */
#define TFO_SOCKET_SYN_SENT 2
#define TFO_SOCKET_LISTEN 10

/*
 * A listener takes whatever comes to its port, so it says nothing. A program that gave up before
 * the answer came has no socket any more: that alone would accuse honest traffic.
 */
tfo_inline int tfo_synack_referee(__u32 state)
{
	if (!state || state == TFO_SOCKET_LISTEN)
		return TFO_SYNACK_UNSOLICITED;
	return state == TFO_SOCKET_SYN_SENT ? TFO_SYNACK_BLIND : TFO_SYNACK_KNOWN;
}

/*
 * Does a SYN-ACK acknowledge something that the SYN had not? `seen`: what is remembered of some SYN
 * (its hash's upper half, then its ISN); of another one it says nothing. A SYN's data is at most a
 * segment long.
 */
tfo_inline int tfo_is_mismatch(__u64 seen, __u64 hash, __u32 ack)
{
	return seen >> 32 == hash >> 32 && ack - (__u32)seen - 1 > 0xffff;
}

/* A closed port answers a spoofed SYN so (RFC 9293 section 3.10.7.1). */
tfo_inline int tfo_is_closed_port(__u8 flags, __u32 sequence)
{
	flags &= TFO_TCP_FIN | TFO_TCP_SYN | TFO_TCP_RST | TFO_TCP_ACK;
	return flags == (TFO_TCP_RST | TFO_TCP_ACK) && !sequence;
}

/* The flow's source as tfo_vip_key_of() has its destination; port 0. */
tfo_inline void tfo_source_key_of(struct tfo_vip_key *key, const struct tfo_flow *flow)
{
	key->port = 0;
	if (flow->family != 4) {
		key->high = flow->word[0];
		key->low = flow->word[1];
		if (!key->high && tfo_mapped_part(key->low) == TFO_MAPPED)
			key->high = 1;
		return;
	}
	key->high = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	key->low = flow->word[0] << 32 | TFO_MAPPED;
#else
	key->low = (__u64)TFO_MAPPED << 32 | flow->word[0] >> 32;
#endif
}

/* tfo_load_flow(), of the packet that the other side sends: tfo_reverse_flow(). */
tfo_inline int tfo_load_answered(const struct tfo_frame *frame, __u8 family, __u32 offset,
				 struct tfo_flow *flow)
{
	const __u8 *ip = tfo_at(frame, offset, 40);

	flow->family = family;
	if (!ip)
		return 0;
	if (family == 4) {
		flow->word[0] = tfo_load64(ip + 12);
		flow->word[0] = flow->word[0] << 32 | flow->word[0] >> 32;
		return 1;
	}
	flow->word[0] = tfo_load64(ip + 24);
	flow->word[1] = tfo_load64(ip + 32);
	flow->word[2] = tfo_load64(ip + 8);
	flow->word[3] = tfo_load64(ip + 16);
	return 1;
}

/* Of tfo_ctl.monitor_alarm, for an address with this last byte. */
tfo_inline __u64 tfo_alarm_bit(__u8 last)
{
	return 1ULL << (last & 63);
}

#define TFO_NO_CELL (~0U)

/* Where an IPv4 address of a declared prefix is counted, or TFO_NO_CELL. `key`: the address. */
tfo_inline __u32 tfo_cell_of(const struct tfo_target *target, const struct tfo_vip_key *key,
			     __u8 family)
{
	__u32 address, host_bits;

	if (family != 4 || target->around_length < 96 || target->around_length > 128)
		return TFO_NO_CELL;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	address = tfo_be32(key->low >> 32);
#else
	address = (__u32)key->low;
#endif
	host_bits = 128 - target->around_length;
	if (host_bits < 32)
		address &= (1U << host_bits) - 1;
	return address < TFO_PREFIX_CELLS && target->first < TFO_PREFIX_CELLS - address
		       ? target->first + address
		       : TFO_NO_CELL;
}

/*
 * Where the /64 of an IPv6 address of a declared prefix is counted. One that has more of them than
 * counters spreads them by a keyed hash, so that nobody can choose those that share one.
 */
tfo_inline __u32 tfo_subnet_of(const struct tfo_target *target, const struct tfo_vip_key *key,
			       const __u64 seed[2])
{
	__u32 bits = target->first >> TFO_SUBNET_SHIFT & 31;
	struct tfo_vip_key net = {.high = key->high, .low = 0, .port = 0};
	__u64 at;

	if (bits + target->around_length < 64)
		at = tfo_vip_hash(&net, seed);
	else
		at = tfo_be64(net.high);
	return (target->first & (TFO_SUBNETS - 1)) + (at & ((1ULL << bits) - 1));
}

tfo_inline __u32 tfo_window(__u64 now_ns)
{
	return now_ns >> TFO_WINDOW_SHIFT;
}

/* This address of the /24 was hit. `last`: its last byte. */
tfo_inline void tfo_hit(struct tfo_hit_map *map, __u32 last, __u32 window)
{
	tfo_stamp_set(&map->bank[window & 1][last >> 5 & (TFO_HIT_WORDS - 1)], window,
		      1ULL << (last & 31));
}

#endif /* TFO_SYNACK_CORE_H */
