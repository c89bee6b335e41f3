/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Kernel shell: a client network comes over its limit, or down from it, and user space is told. */
#ifndef TFO_GUARD_TURN_H
#define TFO_GUARD_TURN_H

#include "guard_load.h"

static __always_inline void tfo_copy_network(__u8 *to, const struct tfo_network *network)
{
	((__u64 *)to)[0] = network->high;
	((__u64 *)to)[1] = network->low;
}

/*
 * A network comes over its limit, or down to half of it: said once. `whose`: enum
 * tfo_guard_event_kind, level << 8, slot << 16; `loads`: its load, and its limit << 32. In numbers,
 * since the caller has no stack left.
 */
__attribute__((noinline)) int tfo_guard_turn(const struct tfo_flow *flow,
					     struct tfo_guard_head *head, struct tfo_guard_row *row,
					     __u32 whose, __u64 loads)
{
	__u32 kind = whose & 0xff, level = whose >> 8 & 0xff, slot = whose >> 16;
	struct tfo_guard_counters *counters;
	struct tfo_guard_event *event;
	struct tfo_network network;
	__u32 before;

	if (!flow || !head || !row)
		return 0;
	if (kind == TFO_GUARD_ENTERED)
		before = __sync_fetch_and_or(&head->epoch, TFO_HEAD_GUARDED);
	else
		before = __sync_fetch_and_and(&head->epoch, ~TFO_HEAD_GUARDED);
	if (!(before & TFO_HEAD_GUARDED) != (kind == TFO_GUARD_ENTERED))
		return 0; /* another CPU was faster */
	tfo_network_of(&network, flow, level);
	tfo_copy_network(row->prefix, &network);
	row->slot = slot;
	row->level = level;
	row->since = tfo_tick(tfo_now());
	row->limit = loads >> 32;
	row->over = 0;
	event = bpf_ringbuf_reserve(&guard_events, sizeof(*event), 0);
	if (!event) {
		counters = tfo_guard_counters_of(slot);
		if (counters)
			counters->events_lost++;
		return 1;
	}
	tfo_copy_network(event->prefix, &network);
	event->time_ns = tfo_now();
	event->slot = slot;
	event->level = level;
	event->kind = kind;
	event->load = loads;
	event->limit = loads >> 32;
	event->pad = 0;
	bpf_ringbuf_submit(event, 0);
	return 1;
}

/* Is the network that sits here over the limit? */
static __always_inline int tfo_seat_is_over(const struct tfo_flow *flow,
					    const struct tfo_seat *seat, __u16 slot, __u32 level,
					    __u32 load, __u32 limit)
{
	int guarded = (*(volatile __u32 *)&seat->head->epoch & TFO_HEAD_GUARDED) != 0;
	int over = tfo_is_over(load, limit, guarded);

	if (over != guarded)
		tfo_guard_turn(flow, seat->head, seat->row,
			       (over ? TFO_GUARD_ENTERED : TFO_GUARD_LEFT) | level << 8 |
				       (__u32)slot << 16,
			       load | (__u64)limit << 32);
	if (over)
		seat->row->over++;
	return over;
}

#endif /* TFO_GUARD_TURN_H */
