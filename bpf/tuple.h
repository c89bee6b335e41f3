/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: a handshake's name (addresses and ports, hashed under the secret seed), what a later
 * segment says of it, and its word in the table (struct tfo_handshake).
 */
#ifndef TFO_TUPLE_H
#define TFO_TUPLE_H

#include "cookie.h"
#include "parse.h"

#define TFO_NO_OUTCOME (-1)

/*
 * How far behind the data of the SYN a segment may stand and still be one of the first: the window
 * of a SYN-ACK is not scaled (RFC 7323 section 2.2), so a server drops what is beyond.
 */
#define TFO_FIRST_BYTES (1U << 16)

/*
 * `ports`: the first four bytes of the TCP header as loaded. A sum of products with secret odd
 * factors (Dietzfelbinger and others 1997), so nobody can choose tuples that meet; then mixed once
 * more, since its low bits alone are weak.
 */
tfo_inline __u64 tfo_tuple_hash(const struct tfo_flow *flow, __u32 ports, const __u64 seed[2])
{
	__u64 h = flow->word[0] * (seed[0] | 1) + ports * (seed[1] | 1);

	if (flow->family != 4) {
		h += flow->word[1] * (seed[0] << 32 | seed[1] >> 32 | 1);
		h += flow->word[2] * ((seed[0] ^ 0x9e3779b97f4a7c15ULL) | 1);
		h += flow->word[3] * ((seed[1] ^ 0xd6e8feb86659fd93ULL) | 1);
	}
	h = (h ^ h >> 32) * 0x94d049bb133111ebULL;
	return h ^ h >> 29;
}

/* The flow as the other side sends it. */
tfo_inline void tfo_reverse_flow(struct tfo_flow *to, const struct tfo_flow *flow)
{
	*to = (struct tfo_flow){.word = {0}, .family = flow->family};
	if (flow->family == 4) {
		to->word[0] = flow->word[0] << 32 | flow->word[0] >> 32;
		return;
	}
	to->word[0] = flow->word[2];
	to->word[1] = flow->word[3];
	to->word[2] = flow->word[0];
	to->word[3] = flow->word[1];
}

tfo_inline __u32 tfo_reverse_ports(__u32 ports)
{
	return ports << 16 | ports >> 16;
}

tfo_inline __u32 tfo_tick(__u64 now_ns)
{
	return now_ns >> TFO_TICK_SHIFT;
}

/*
 * The bucket of a tick: since ticks wrap, known modulo TFO_TICK_BUCKETS, which is a multiple of
 * TFO_BUCKETS. Compare by tfo_tick_age().
 */
#define TFO_TICK_BUCKETS (TFO_BUCKET_FACTOR << (32 - TFO_BUCKET_SHIFT))
tfo_inline __u32 tfo_tick_bucket(__u32 tick)
{
	return (__u64)tick * TFO_BUCKET_FACTOR >> TFO_BUCKET_SHIFT;
}

/* Buckets that ended since the tick. */
tfo_inline __u32 tfo_tick_age(__u32 now, __u32 tick)
{
	__u32 age = tfo_tick_bucket(now) - tfo_tick_bucket(tick);

	return (__s32)age < 0 ? age + TFO_TICK_BUCKETS : age;
}

tfo_inline __u64 tfo_handshake_word(__u32 fingerprint, __u16 len, __u8 state, __u8 flags)
{
	return (__u64)fingerprint << 32 | (__u32)len << 16 | (__u32)state << 8 | flags;
}
tfo_inline __u32 tfo_handshake_fingerprint(__u64 word)
{
	return word >> 32;
}
tfo_inline __u16 tfo_handshake_len(__u64 word)
{
	return word >> 16;
}
tfo_inline __u8 tfo_handshake_state(__u64 word)
{
	return word >> 8;
}
tfo_inline __u8 tfo_handshake_flags(__u64 word)
{
	return word;
}

/* The word with another state. */
tfo_inline __u64 tfo_handshake_become(__u64 word, __u8 state)
{
	return (word & ~0xff00ULL) | (__u32)state << 8;
}

/*
 * Is a RST so far past the SYN the one that the server takes? It is a RST at the number that it
 * acknowledged (RFC 9293 section 3.10.7.1): one that accepted the data ignores a RST before its
 * end (tcp_validate_incoming) and goes on for two minutes. Whether it did is known only where its
 * SYN-ACK was seen; else it is taken to have. `handshake`: TFO_HANDSHAKE_*.
 */
tfo_inline int tfo_is_reset(__u32 past, __u16 len, __u8 handshake)
{
	if (handshake & TFO_HANDSHAKE_REFUSED)
		return !past;
	return past == len && !(handshake & TFO_HANDSHAKE_PART);
}

/*
 * What the client's segment at `seq` says of the SYN at `isn` with `len` bytes of data: an enum
 * tfo_outcome, or TFO_NO_OUTCOME if it is none of the first, or no answer.
 */
tfo_inline int tfo_judge_answer(__u8 flags, __u32 seq, __u32 isn, __u16 len, __u8 handshake)
{
	__u32 past = seq - (isn + 1);

	if (flags & TFO_TCP_RST)
		return tfo_is_reset(past, len, handshake) ? TFO_OUTCOME_RESET : TFO_NO_OUTCOME;
	if (!(flags & TFO_TCP_ACK) || flags & TFO_TCP_SYN || past >= len + TFO_FIRST_BYTES)
		return TFO_NO_OUTCOME;
	if (!len)
		return TFO_OUTCOME_OPENED;
	return past < len ? TFO_OUTCOME_NOT_ACCEPTED : TFO_OUTCOME_ACCEPTED;
}

/* The bucket of struct tfo_guard_counters.rtt for so many ticks. */
tfo_inline __u32 tfo_rtt_bucket(__u32 ticks)
{
	__u32 bucket;

	for (bucket = 0; bucket < TFO_RTT_BUCKETS - 1; bucket++)
		if (ticks < 8U << bucket)
			break;
	return bucket;
}

#endif /* TFO_TUPLE_H */
