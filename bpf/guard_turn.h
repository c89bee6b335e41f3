/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Kernel shell: a client network comes over its limit, or down from it, and user space is told. */
#ifndef TFO_GUARD_TURN_H
#define TFO_GUARD_TURN_H

#include "guard_load.h"

/* A load at its limit, in what a BPF global function can be given. */
struct tfo_turn {
	__u32 kind; /* enum tfo_guard_event_kind */
	__u16 slot;
	__u16 level;
	__u32 load;
	__u32 limit;
};

static __always_inline void tfo_copy_network(__u8 *to, const struct tfo_network *network)
{
	((__u64 *)to)[0] = network->high;
	((__u64 *)to)[1] = network->low;
}

/* A network comes over its limit, or down to half of it: said once. */
__attribute__((noinline)) int tfo_guard_turn(const struct tfo_flow *flow,
					     struct tfo_guard_head *head, struct tfo_guard_row *row,
					     const struct tfo_turn *turn)
{
	struct tfo_guard_counters *counters;
	struct tfo_guard_event *event;
	struct tfo_network network;
	__u32 before;

	if (!flow || !head || !row || !turn)
		return 0;
	if (turn->kind == TFO_GUARD_ENTERED)
		before = __sync_fetch_and_or(&head->epoch, TFO_HEAD_GUARDED);
	else
		before = __sync_fetch_and_and(&head->epoch, ~TFO_HEAD_GUARDED);
	if (!(before & TFO_HEAD_GUARDED) != (turn->kind == TFO_GUARD_ENTERED))
		return 0; /* another CPU was faster */
	tfo_network_of(&network, flow, turn->level);
	tfo_copy_network(row->prefix, &network);
	row->slot = turn->slot;
	row->level = turn->level;
	row->since = tfo_tick(tfo_now());
	row->limit = turn->limit;
	row->over = 0;
	event = bpf_ringbuf_reserve(&guard_events, sizeof(*event), 0);
	if (!event) {
		counters = tfo_guard_counters_of(turn->slot);
		if (counters)
			counters->events_lost++;
		return 1;
	}
	tfo_copy_network(event->prefix, &network);
	event->time_ns = tfo_now();
	event->slot = turn->slot;
	event->level = turn->level;
	event->kind = turn->kind;
	event->load = turn->load;
	event->limit = turn->limit;
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
	struct tfo_turn turn = {.slot = slot, .level = level, .load = load, .limit = limit};

	if (over != guarded) {
		turn.kind = over ? TFO_GUARD_ENTERED : TFO_GUARD_LEFT;
		tfo_guard_turn(flow, seat->head, seat->row, &turn);
	}
	if (over)
		seat->row->over++;
	return over;
}

#endif /* TFO_GUARD_TURN_H */
