/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: where the loads stand. Two heads a set; a network that finds neither free takes the
 * one that carries less, whose count is then forgotten: an error only ever forgives. Where both are
 * guarded it is not counted on this level.
 */
#ifndef TFO_GUARD_LOAD_H
#define TFO_GUARD_LOAD_H

#include "clock.h"
#include "load.h"
#include "maps.h"
#include "vip.h"

/* A load's two halves: both NULL, or neither. */
struct tfo_seat {
	struct tfo_guard_head *head;
	struct tfo_guard_row *row;
};

/* tfo_load_bring_up(); global, so that the verifier follows its loop once. */
__attribute__((noinline)) int tfo_bring_up(struct tfo_guard_head *head, struct tfo_guard_row *row,
					   __u32 before, __u32 bucket, struct tfo_brought_up *out)
{
	if (!head || !row || !out)
		return 0;
	tfo_load_bring_up(head, row, before & TFO_HEAD_RING, before & TFO_EPOCH_MASK, bucket, out);
	return 1;
}

/*
 * Brings a load up to the bucket if it is not and no other CPU is at it. Returns 1 if this one did:
 * *out is set then.
 */
static __always_inline int tfo_seat_bring_up(const struct tfo_seat *seat, __u32 bucket,
					     struct tfo_brought_up *out)
{
	__u32 before = *(volatile __u32 *)&seat->head->epoch;

	if ((before & TFO_EPOCH_MASK) == bucket || !tfo_load_claim(seat->head, before, bucket))
		return 0;
	return tfo_bring_up(seat->head, seat->row, before, bucket, out);
}

/* The same, and its buckets are in use: a settlement may be written there. */
static __always_inline int tfo_seat_use(const struct tfo_seat *seat, __u32 bucket,
					struct tfo_brought_up *out)
{
	int did = tfo_seat_bring_up(seat, bucket, out);

	if (*(volatile __u32 *)&seat->head->epoch & TFO_HEAD_RING)
		return did;
	tfo_clear_ring(seat->row);
	__sync_fetch_and_or(&seat->head->epoch, TFO_HEAD_RING);
	return did;
}

static __always_inline void tfo_seat_way(struct tfo_seat *seat, struct tfo_guard_heads *heads,
					 __u32 set, __u32 way)
{
	__u32 index = set * 2 + way;

	seat->row = bpf_map_lookup_elem(&guard_rows, &index);
	seat->head = seat->row ? &heads->way[way & 1] : 0;
}

/*
 * Where the network with this tag sits, or could if one goes that is worth less than `claim`; 0:
 * none goes.
 */
static __always_inline int tfo_seat_find(struct tfo_seat *seat, __u64 tag, __u32 bucket,
					 __u32 claim)
{
	__u32 set = tag & tfo_ctl.head_mask, first, second;
	struct tfo_guard_heads *heads = bpf_map_lookup_elem(&guard_heads, &set);

	seat->head = 0;
	seat->row = 0;
	if (!heads)
		return 0;
	if (heads->way[0].tag == tag) {
		tfo_seat_way(seat, heads, set, 0);
	} else if (heads->way[1].tag == tag) {
		tfo_seat_way(seat, heads, set, 1);
	} else if (claim) {
		first = tfo_load_worth(&heads->way[0], bucket);
		second = tfo_load_worth(&heads->way[1], bucket);
		if (first >= claim && second >= claim)
			return 0;
		tfo_seat_way(seat, heads, set, second < first);
		if (seat->head)
			tfo_load_begin(seat->head, tag, bucket);
	}
	return seat->head != 0;
}

static __always_inline __u64 tfo_network_tag(const struct tfo_flow *flow, __u16 slot, int level)
{
	struct tfo_network network;

	tfo_network_of(&network, flow, level);
	return tfo_load_tag(&network, slot, level, tfo_ctl.hash_seed);
}

static __always_inline int tfo_seat_of(struct tfo_seat *seat, const struct tfo_flow *flow,
				       __u16 slot, int level, __u32 bucket, __u32 claim)
{
	return tfo_seat_find(seat, tfo_network_tag(flow, slot, level), bucket, claim);
}

static __always_inline struct tfo_guard_counters *tfo_guard_counters_of(__u32 slot)
{
	return bpf_map_lookup_elem(&guard_stats, &slot);
}

/*
 * The path has moved, or the answers never came this way: most networks that used to settle were
 * silent in one bucket (at least four of them, and three quarters of all the VIP's handshakes), or
 * nobody has settled anything for as long as a handshake may be pending.
 */
static __always_inline int tfo_is_blind(const struct tfo_guard_vip *vip, __u32 bucket)
{
	return (vip->blind_epoch && ((bucket - vip->blind_epoch) & TFO_EPOCH_MASK) < TFO_BUCKETS) ||
	       ((bucket - vip->settled_epoch) & TFO_EPOCH_MASK) >= TFO_BUCKETS;
}

/* The VIP's load was brought up: what did its networks show in the bucket that now ends? */
static __always_inline void tfo_vip_brought_up(struct tfo_guard_vip *vip, __u32 slot, __u32 bucket,
					       const struct tfo_brought_up *up)
{
	struct tfo_guard_counters *counters = tfo_guard_counters_of(slot);

	if (counters)
		counters->outcome[TFO_OUTCOME_TIMEOUT] += up->timeouts;
	/* After a rest that nothing outlived, the wait for the first answer begins anew. */
	if (!vip->settled_epoch || vip->head.opened == vip->head.window)
		vip->settled_epoch = bucket;
	if (vip->judged >= 4 && vip->silent * 2 > vip->judged &&
	    vip->was_settled * 4 < vip->was_opened)
		vip->blind_epoch = bucket;
	vip->judged = vip->silent = 0;
	vip->was_opened = up->opened;
	vip->was_settled = up->settled;
}

static __always_inline void tfo_vip_bring_up(struct tfo_guard_vip *vip, __u32 slot, __u32 bucket)
{
	struct tfo_seat seat = {.head = &vip->head, .row = &vip->row};
	struct tfo_brought_up up;

	if (tfo_seat_use(&seat, bucket, &up))
		tfo_vip_brought_up(vip, slot, bucket, &up);
}

/*
 * A network's load, with what it says of the path. Who is over the limit is not asked; who has
 * fallen silent is, since that is what a path that has moved looks like.
 */
static __always_inline void tfo_network_bring_up(const struct tfo_seat *seat,
						 struct tfo_guard_vip *vip, __u32 bucket,
						 __u32 limit)
{
	struct tfo_brought_up up = {};

	if (!tfo_seat_bring_up(seat, bucket, &up) || up.opened < 4 ||
	    !(seat->head->epoch & (TFO_HEAD_PROVEN | TFO_HEAD_LAPSED)) ||
	    seat->head->epoch & TFO_HEAD_GUARDED || (limit && tfo_load_of(seat->head, 0) >= limit))
		return;
	__sync_fetch_and_add(&vip->judged, 1);
	if (up.settled * 2 < up.opened)
		__sync_fetch_and_add(&vip->silent, 1);
}

#endif /* TFO_GUARD_LOAD_H */
