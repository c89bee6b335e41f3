/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: the handshakes that valid cookies opened, two ways a set.
 *
 * A full set forgets: the new one takes the way of a settled one, or else of the older one, which
 * then counts as not answered. Two CPUs that write one way at once leave a fingerprint of the one
 * with an ISN of the other: no segment fits it, it is not answered either. Settling is one compare
 * and exchange of the word, so of an ACK and a RST on two CPUs one counts.
 */
#ifndef TFO_HANDSHAKE_H
#define TFO_HANDSHAKE_H

#include "clock.h"
#include "maps.h"
#include "tuple.h"

static __always_inline __u32 tfo_handshake_index(__u64 hash)
{
	return hash & tfo_ctl.handshake_mask;
}

static __always_inline struct tfo_handshake_set *tfo_handshakes_of(__u64 hash)
{
	__u32 index = tfo_handshake_index(hash);

	return bpf_map_lookup_elem(&handshakes, &index);
}

/* The word of handshake_bits that has the set's bit, or NULL. */
static __always_inline __u64 *tfo_handshake_bits(__u64 hash)
{
	__u32 index = tfo_handshake_index(hash) >> 6;

	return bpf_map_lookup_elem(&handshake_bits, &index);
}

static __always_inline __u64 tfo_handshake_bit(__u64 hash)
{
	return 1ULL << (hash & 63);
}

/* Is a handshake pending in its set? What nearly every segment asks, and nothing else. */
static __always_inline int tfo_handshake_hint(__u64 hash)
{
	const __u64 *bits = tfo_handshake_bits(hash);

	return bits && *(volatile const __u64 *)bits & tfo_handshake_bit(hash);
}

static __always_inline int tfo_is_handshake(const struct tfo_handshake *one, __u64 hash)
{
	__u64 word = *(volatile const __u64 *)&one->word;

	return tfo_handshake_fingerprint(word) == (__u32)(hash >> 32) &&
	       tfo_handshake_state(word) != TFO_HANDSHAKE_NONE;
}

/* The handshake with this name, or NULL. */
static __always_inline struct tfo_handshake *tfo_handshake_find(struct tfo_handshake_set *set,
								__u64 hash)
{
	if (tfo_is_handshake(&set->way[0], hash))
		return &set->way[0];
	return tfo_is_handshake(&set->way[1], hash) ? &set->way[1] : 0;
}

static __always_inline int tfo_is_pending(const struct tfo_handshake *one, __u32 now)
{
	return tfo_handshake_state(one->word) == TFO_HANDSHAKE_PENDING &&
	       tfo_tick_age(now, one->opened) < TFO_PENDING_BUCKETS;
}

/* The same, or its SYN was demoted: an answer is waited for. */
static __always_inline int tfo_is_awaited(const struct tfo_handshake *one, __u32 now)
{
	__u8 state = tfo_handshake_state(one->word);

	return (state == TFO_HANDSHAKE_PENDING || state == TFO_HANDSHAKE_TRIAL) &&
	       tfo_tick_age(now, one->opened) < TFO_PENDING_BUCKETS;
}

/* Did its SYN carry data, less than `ticks` ago? Copies of that are looked for. */
static __always_inline int tfo_is_remembered(const struct tfo_handshake *one, __u32 now,
					     __u32 ticks)
{
	return tfo_handshake_flags(one->word) & TFO_HANDSHAKE_DATA &&
	       tfo_tick_age(now, one->opened) < TFO_PENDING_BUCKETS && now - one->opened < ticks;
}

/* The way to take of two: one that is not `kept`, else the older. */
static __always_inline struct tfo_handshake *tfo_way_of(struct tfo_handshake_set *set, __u32 now,
							int first_kept, int second_kept)
{
	if (first_kept != second_kept)
		return first_kept ? &set->way[1] : &set->way[0];
	return now - set->way[0].opened >= now - set->way[1].opened ? &set->way[0] : &set->way[1];
}

/* The way that a new handshake takes where its name is not there yet. */
static __always_inline struct tfo_handshake *tfo_handshake_place(struct tfo_handshake_set *set,
								 __u32 now)
{
	return tfo_way_of(set, now, tfo_is_pending(&set->way[0], now),
			  tfo_is_pending(&set->way[1], now));
}

static __always_inline int tfo_is_kept(const struct tfo_handshake *one, __u32 now, __u32 ticks)
{
	return tfo_is_pending(one, now) || (tfo_handshake_state(one->word) != TFO_HANDSHAKE_TRIAL &&
					    tfo_is_remembered(one, now, ticks));
}

/*
 * The way that a trial may take, or NULL. Trials cost their sender nothing, so none drives out a
 * pending handshake, nor one of which copies are looked for, back to `ticks` ago.
 */
static __always_inline struct tfo_handshake *tfo_trial_place(struct tfo_handshake_set *set,
							     __u64 hash, __u32 now, __u32 ticks)
{
	struct tfo_handshake *at = tfo_handshake_find(set, hash);

	at = at
		     ?: tfo_way_of(set, now, tfo_is_kept(&set->way[0], now, ticks),
				   tfo_is_kept(&set->way[1], now, ticks));
	return tfo_is_kept(at, now, ticks) ? 0 : at;
}

/* What a SYN leaves in the table. */
struct tfo_opening {
	__u64 hash; /* tfo_tuple_hash() */
	__u32 isn; /* host order */
	__u16 slot;
	__u16 len; /* bytes of data */
	__u8 state; /* enum tfo_handshake_state */
	__u8 flags; /* TFO_HANDSHAKE_* */
};

static __always_inline void tfo_handshake_put(struct tfo_handshake *at,
					      const struct tfo_opening *what, __u32 now)
{
	__u64 *bits = tfo_handshake_bits(what->hash);

	*(volatile __u64 *)&at->word = 0;
	at->isn = what->isn;
	at->opened = now;
	at->server_isn = 0;
	at->slot = what->slot;
	*(volatile __u64 *)&at->word =
		tfo_handshake_word(what->hash >> 32, what->len, what->state, what->flags);
	if (bits && !(*(volatile __u64 *)bits & tfo_handshake_bit(what->hash)))
		__sync_fetch_and_or(bits, tfo_handshake_bit(what->hash));
}

/*
 * Takes the set's bit away if no answer is awaited in it. Looked at again afterwards, since another
 * CPU may have opened one in between; it puts its word before it looks at the bit.
 */
static __always_inline void tfo_handshake_unhint(struct tfo_handshake_set *set, __u64 hash,
						 __u32 now)
{
	__u64 *bits = tfo_handshake_bits(hash);

	if (!bits || tfo_is_awaited(&set->way[0], now) || tfo_is_awaited(&set->way[1], now))
		return;
	__sync_fetch_and_and(bits, ~tfo_handshake_bit(hash));
	if (tfo_is_awaited(&set->way[0], now) || tfo_is_awaited(&set->way[1], now))
		__sync_fetch_and_or(bits, tfo_handshake_bit(hash));
}

/* A flag more; 1 if this CPU is the one that set it on `word`, which nobody changed meanwhile. */
static __always_inline int tfo_handshake_mark(struct tfo_handshake *one, __u64 word, __u8 flag)
{
	return !(word & flag) && __sync_val_compare_and_swap(&one->word, word, word | flag) == word;
}

/* This CPU is the one that settles it; *word is what it was. */
static __always_inline int tfo_handshake_settle(struct tfo_handshake *one, __u64 word)
{
	__u8 after = tfo_handshake_state(word) == TFO_HANDSHAKE_TRIAL ? TFO_HANDSHAKE_TRIED
								      : TFO_HANDSHAKE_SETTLED;

	return __sync_val_compare_and_swap(&one->word, word, tfo_handshake_become(word, after)) ==
	       word;
}

#endif /* TFO_HANDSHAKE_H */
