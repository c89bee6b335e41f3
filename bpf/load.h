/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: the load of one client network, or of a VIP (struct tfo_guard_head and its row).
 *
 * Several CPUs work on one load without a lock. Openings and settlements are atomic additions; only
 * one CPU brings a load up to a new bucket (tfo_load_claim). What another one adds meanwhile may
 * miss a bucket or be lost, by one each: pending is counted anew out of the buckets whenever a load
 * is brought up, so an error lives for one bucket. A settlement without its opening is never more
 * than forgotten: no bucket goes below zero.
 */
#ifndef TFO_LOAD_H
#define TFO_LOAD_H

#include "vip_hash.h"

tfo_inline __u32 tfo_bucket(__u64 now_ns)
{
	return (now_ns >> TFO_TICK_SHIFT) * TFO_BUCKET_FACTOR >> TFO_BUCKET_SHIFT & TFO_EPOCH_MASK;
}

/* The network of a client, as in struct tfo_guard_row.prefix. */
struct tfo_network {
	__u64 high;
	__u64 low;
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TFO_FIRST_24 0x0000000000ffffffULL
#define TFO_FIRST_48 0x0000ffffffffffffULL
#else
#define TFO_FIRST_24 0xffffff00ULL
#define TFO_FIRST_48 0xffffffffffff0000ULL
#endif

/* The source's network on this level (enum tfo_guard_level, below TFO_LEVEL_VIP). */
tfo_inline void tfo_network_of(struct tfo_network *network, const struct tfo_flow *flow, int level)
{
	__u64 source;

	if (flow->family == 4) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		source = flow->word[0] & 0xffffffff;
#else
		source = flow->word[0] >> 32;
#endif
		if (level != TFO_LEVEL_ADDRESS)
			source &= TFO_FIRST_24;
		network->high = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		network->low = source << 32 | TFO_MAPPED;
#else
		network->low = (__u64)TFO_MAPPED << 32 | source;
#endif
		return;
	}
	network->high = level == TFO_LEVEL_SITE ? flow->word[0] & TFO_FIRST_48 : flow->word[0];
	network->low = level == TFO_LEVEL_ADDRESS ? flow->word[1] : 0;
}

/* The coarsest level below the VIP: its load is always kept. */
tfo_inline int tfo_coarsest(__u8 family)
{
	return family == 4 ? TFO_LEVEL_NETWORK : TFO_LEVEL_SITE;
}

/* struct tfo_guard_head.tag; its low bits are the set. */
tfo_inline __u64 tfo_load_tag(const struct tfo_network *network, __u16 slot, int level,
			      const __u64 seed[2])
{
	__u64 h = network->low * (seed[0] | 1) + network->high * (seed[1] | 1);

	h += ((__u32)slot << 8 | (__u32)level) * ((seed[0] ^ 0xd6e8feb86659fd93ULL) | 1);
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ULL;
	h ^= h >> 29;
	h &= (1ULL << TFO_TAG_SLOT_SHIFT) - 1;
	return (__u64)slot << TFO_TAG_SLOT_SHIFT | (h ? h : 1);
}

tfo_inline __u32 tfo_not_below_zero(__u32 difference)
{
	return (__s32)difference > 0 ? difference : 0;
}

/*
 * The load now; it was brought up to this bucket. A VIP's is asked for without flags: all that
 * honest clients open in two minutes is soon more than any cap, and would close it to them.
 */
tfo_inline __u32 tfo_load_of(const struct tfo_guard_head *head, __u32 guard_flags)
{
	if (guard_flags & TFO_GUARD_COUNT_OPENS)
		return head->opened - head->window;
	return tfo_not_below_zero(head->opened - head->gone) + tfo_not_below_zero(head->resets);
}

/* May this CPU bring the load from `before` up to the bucket? Of several that want to, one. */
tfo_inline int tfo_load_claim(struct tfo_guard_head *head, __u32 before, __u32 bucket)
{
	__u32 after = (before & ~TFO_EPOCH_MASK) | TFO_HEAD_RING | bucket;

	return __sync_val_compare_and_swap(&head->epoch, before, after) == before;
}

/* What bringing up a load showed. */
struct tfo_brought_up {
	__u32 timeouts; /* handshakes of buckets that ended too long ago */
	__u32 opened; /* in the bucket that has just ended */
	__u32 settled; /* of those */
	__s32 lost; /* above 0: of the former came more than a quarter to nothing */
};

tfo_inline void tfo_clear_ring(struct tfo_guard_row *row)
{
	__u32 i;

	for (i = 0; i < TFO_BUCKETS; i++)
		row->opened[i] = row->settled[i] = row->reset[i] = 0;
}

/*
 * Closes bucket `from`, drops those that are too old at `to`, and counts the rest. `ring`: the row
 * was in use before.
 *
 * A network has proven nothing any more if of what it opened in the buckets that are dropped more
 * than a quarter came to nothing. A large one in which some are always silent keeps its proof; who
 * answered once and then opens and does not answer has none. A RST is no answer: the server keeps
 * the place for it. It may prove itself anew at once: see tfo_take_own().
 */
tfo_inline void tfo_load_bring_up(struct tfo_guard_head *head, struct tfo_guard_row *row, int ring,
				  __u32 from, __u32 to, struct tfo_brought_up *out)
{
	__u32 opened = head->opened, pending = 0, opens = 0, resets = 0, i;

	*out = (struct tfo_brought_up){};
	if (!ring)
		tfo_clear_ring(row);
	row->opened[from & (TFO_BUCKETS - 1)] = opened - head->mark;
	for (i = 0; i < TFO_BUCKETS; i++) {
		__u32 age = ((to - from) & TFO_EPOCH_MASK) + ((from - i) & (TFO_BUCKETS - 1));
		__u32 open = tfo_not_below_zero(row->opened[i] - row->settled[i]);

		if (age >= TFO_PENDING_BUCKETS) {
			out->timeouts += open;
			out->lost += 4 * (open + row->reset[i]) - row->opened[i];
			row->opened[i] = row->settled[i] = row->reset[i] = 0;
			continue;
		}
		if (age == 1) {
			out->opened = row->opened[i];
			out->settled = row->settled[i];
		}
		pending += open;
		opens += row->opened[i];
		resets += age < TFO_RESET_BUCKETS ? row->reset[i] : 0;
	}
	head->gone = opened - pending;
	head->resets = resets;
	head->window = opened - opens;
	head->mark = opened;
	if (out->lost <= 0 || !(head->epoch & TFO_HEAD_PROVEN))
		return;
	*(volatile __u32 *)&row->demoted = 0;
	__sync_fetch_and_or(&head->epoch, TFO_HEAD_LAPSED);
	__sync_fetch_and_and(&head->epoch, ~TFO_HEAD_PROVEN);
}

tfo_inline void tfo_load_open(struct tfo_guard_head *head)
{
	__sync_fetch_and_add(&head->opened, 1);
}

/*
 * A handshake of `bucket`, at most TFO_PENDING_BUCKETS old, is settled; by a RST, it goes on
 * counting for a minute. The load was brought up to `now`, and its row is in use.
 */
tfo_inline void tfo_load_settle(struct tfo_guard_head *head, struct tfo_guard_row *row,
				__u32 bucket, __u32 now, int reset)
{
	__sync_fetch_and_add(&head->gone, 1);
	__sync_fetch_and_add(&row->settled[bucket & (TFO_BUCKETS - 1)], 1);
	if (!reset)
		return;
	__sync_fetch_and_add(&head->resets, 1);
	__sync_fetch_and_add(&row->reset[now & (TFO_BUCKETS - 1)], 1);
}

/* The handshake of `bucket` that was settled is not: it is pending again. */
tfo_inline void tfo_load_reopen(struct tfo_guard_head *head, struct tfo_guard_row *row,
				__u32 bucket)
{
	__u32 *settled = &row->settled[bucket & (TFO_BUCKETS - 1)];

	if (!*(volatile __u32 *)settled) /* the network had to make place meanwhile */
		return;
	__sync_fetch_and_add(&head->gone, -1);
	__sync_fetch_and_add(settled, -1);
}

/*
 * The limit in force while the VIP carries `vip_load`: from its cap on one half, and at each eighth
 * of the cap beyond half of that again, so the heaviest are over it first. At least 1: who has
 * nothing pending is never over the limit.
 */
tfo_inline __u32 tfo_limit_now(__u32 limit, __u32 vip_load, __u32 cap)
{
	__u32 halvings;

	if (!limit || !cap || vip_load < cap)
		return limit;
	halvings = 1 + (__u32)((vip_load - cap) * 8ULL / cap);
	limit = halvings > 31 ? 0 : limit >> halvings;
	return limit ? limit : 1;
}

/* Is a load at the limit, or was it and is not yet down to half of it? */
tfo_inline int tfo_is_over(__u32 load, __u32 limit, int guarded)
{
	if (!limit)
		return 0;
	return guarded ? load * 2ULL > limit : load >= limit;
}

/*
 * From one and a half of its cap, three quarters of what the servers hold, a VIP opens more only
 * for networks that have settled a handshake before: the limit leaves one place to each, and very
 * many that only ever open would fill the rest. `head`: NULL for a stranger.
 */
tfo_inline int tfo_is_closed(const struct tfo_guard_head *head, __u32 vip_load, __u32 cap)
{
	return cap && vip_load >= cap + (__u64)cap / 2 && !(head && head->epoch & TFO_HEAD_PROVEN);
}

/*
 * The last bound, seven eighths of what the servers hold: proof costs no more than one handshake,
 * and a limit leaves one place to each, so very many networks would fill the queue that had
 * answered once. What is left is for what no guard sees in time.
 */
tfo_inline int tfo_is_full(__u32 vip_load, __u32 cap)
{
	return cap && vip_load >= cap + (__u64)cap / 2 + cap / 4;
}

/*
 * Has the network a demotion of its own left in this bucket? The rate that is shared by all may be
 * used up by those who are many; these nobody can take from a network. Who had one lately and has
 * not answered (`proven`: it has, ever) gets none: of very many that only open, most are such.
 * `tag`: its head's.
 */
tfo_inline int tfo_take_own(struct tfo_guard_row *row, __u64 tag, int proven, __u32 bucket)
{
	__u32 owner = tag >> 16, seen, taken;

	if (row->owner != owner) {
		row->owner = owner;
		*(volatile __u32 *)&row->demoted = 0;
	}
	seen = *(volatile __u32 *)&row->demoted;
	taken = seen >> 2 == bucket ? seen & 3 : 0;
	if (seen && !taken && !proven && ((bucket - (seen >> 2)) & TFO_EPOCH_MASK) < TFO_BUCKETS)
		return 0;
	return taken < TFO_OWN_DEMOTIONS &&
	       __sync_val_compare_and_swap(&row->demoted, seen, bucket << 2 | (taken + 1)) == seen;
}

/* A head that begins to count for a network. The tag comes last: until then nobody finds it. */
tfo_inline void tfo_load_begin(struct tfo_guard_head *head, __u64 tag, __u32 bucket)
{
	*(volatile __u64 *)&head->tag = 0;
	head->opened = head->gone = head->resets = 0;
	head->mark = head->window = 0;
	head->epoch = bucket;
	*(volatile __u64 *)&head->tag = tag;
}

/*
 * What a network is worth that would have to make place for another: the least goes. Up to
 * TFO_WORTHLESS nothing is lost with it.
 */
#define TFO_WORTHLESS 1
#define TFO_PRICELESS (~0U)
tfo_inline __u32 tfo_load_worth(const struct tfo_guard_head *head, __u32 bucket)
{
	if (!head->tag || ((bucket - head->epoch) & TFO_EPOCH_MASK) >= TFO_BUCKETS)
		return 0;
	if (head->epoch & TFO_HEAD_GUARDED)
		return TFO_PRICELESS;
	return TFO_WORTHLESS + !!(head->epoch & TFO_HEAD_PROVEN) + tfo_load_of(head, 0);
}

#endif /* TFO_LOAD_H */
