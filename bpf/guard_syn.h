/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: what the guard does with a SYN whose cookie is accepted: seen before? too much load
 * from its network? and if not, another handshake is open.
 *
 * Only the coarsest network (/24, /48) is counted always: one atomic addition there and one at the
 * VIP. The finer ones begin once it carries half of what their limit allows, so that one address
 * can be told from its neighbours; until then what they carry is not counted for them.
 */
#ifndef TFO_GUARD_SYN_H
#define TFO_GUARD_SYN_H

#include "frame.h"
#include "guard_load.h"
#include "handshake.h"

/* A SYN; `flow` in memory, since global functions are given it. */
struct tfo_syn {
	const struct tfo_flow *flow;
	__u64 hash; /* tfo_tuple_hash() */
	__u64 tag; /* of its coarsest network */
	__u32 isn; /* host order */
	__u16 slot;
	__u16 len; /* bytes of data */
	__u8 data; /* it carries some, of whatever length */
	__u8 acts; /* the answer decides what is done with it */
	__u16 finer; /* what tfo_guard_finer() said, or TFO_ASK_FINER */
};

#define TFO_ASK_FINER 0x100 /* with no answer yet: tfo_guard_finer() knows, then ask again */
#define TFO_OPEN_FINER 0x200 /* with an answer: tfo_guard_finer() has to open it, too */

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

/*
 * The levels below the coarsest: `opens` a handshake on each, or returns 1 + the level that is over
 * its limit, or 0. Few SYNs come here.
 */
__attribute__((noinline)) int tfo_guard_finer(struct xdp_md *ctx, const struct tfo_packet *p,
					      int opens)
{
	__u32 slot = p ? p->slot : 0, bucket = tfo_bucket(tfo_now());
	__u32 settings = tfo_settings_index(slot, p ? p->flags : 0);
	const struct tfo_guard *guard = bpf_map_lookup_elem(&guards, &settings);
	struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &slot);
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_flow flow;
	__u32 limit;
	int level;

	if (!p || !guard || !vip || !tfo_load_flow(&frame, p->family, p->ip & TFO_HEADERS, &flow))
		return 0;
	for (level = TFO_LEVEL_ADDRESS; level < TFO_LEVEL_SITE; level++) {
		struct tfo_brought_up up;
		struct tfo_seat seat;

		if (level >= tfo_coarsest(p->family) || !guard->limit[level] ||
		    !tfo_seat_of(&seat, &flow, slot, level, bucket, opens))
			continue;
		tfo_seat_bring_up(&seat, bucket, &up);
		limit = tfo_limit_now(guard->limit[level], tfo_load_of(&vip->head, 0),
				      guard->limit[TFO_LEVEL_VIP]);
		if (opens)
			tfo_load_open(seat.head);
		else if (tfo_seat_is_over(&flow, &seat, slot, level,
					  tfo_load_of(seat.head, guard->flags), limit))
			return 1 + level;
	}
	return 0;
}

/* Has the coarsest network so much load that the finer ones have to be told apart? */
static __always_inline int tfo_wants_finer(const struct tfo_guard *guard, __u8 family, __u32 load)
{
	__u32 network = guard->limit[TFO_LEVEL_NETWORK], address = guard->limit[TFO_LEVEL_ADDRESS];

	return (address && load * 2ULL >= address) ||
	       (family != 4 && network && load * 2ULL >= network);
}

/* The operator's word on this source: enum tfo_guard_list_verdict, or 0. Few nodes ask. */
__attribute__((noinline)) int tfo_listed(const struct tfo_flow *flow)
{
	const struct tfo_guard_list_entry *entry;
	struct tfo_guard_list_key key = {.length = 128};
	struct tfo_network network;

	if (!flow)
		return 0;
	tfo_network_of(&network, flow, TFO_LEVEL_ADDRESS);
	__builtin_memcpy(key.prefix, &network, sizeof(key.prefix));
	entry = bpf_map_lookup_elem(&guard_list, &key);
	return entry && entry->until_ns > tfo_now() ? entry->verdict : 0;
}

/*
 * 1 + the level that is over its limit, 0 for none, or TFO_ASK_FINER. `seat`: the coarsest
 * network's, if it has one.
 */
static __always_inline int tfo_level_over(const struct tfo_syn *syn, const struct tfo_guard *guard,
					  const struct tfo_seat *seat, __u32 vip_load)
{
	int level = tfo_coarsest(syn->flow->family);
	__u32 load, limit;

	if (tfo_is_closed(seat->head, vip_load, guard->limit[TFO_LEVEL_VIP]))
		return 1 + TFO_LEVEL_VIP;
	if (!seat->head)
		return 0;
	load = tfo_load_of(seat->head, guard->flags);
	limit = tfo_limit_now(guard->limit[level], vip_load, guard->limit[TFO_LEVEL_VIP]);
	if (tfo_seat_is_over(syn->flow, seat, syn->slot, level, load, limit))
		return 1 + level;
	if (guard->opens && seat->head->opened - seat->head->mark >= guard->opens)
		return 1 + level;
	return tfo_wants_finer(guard, syn->flow->family, load) ? syn->finer : 0;
}

/* Counts an answer that is not simply yes; blindness turns "over" into yes. */
static __always_inline int tfo_guard_say(const struct tfo_syn *syn, const struct tfo_guard_vip *vip,
					 int answer, int level, __u32 bucket)
{
	struct tfo_guard_counters *counters = tfo_guard_counters_of(syn->slot);

	if (!counters)
		return answer;
	if (answer == TFO_GUARD_OVER) {
		if (tfo_is_blind(vip, bucket)) {
			counters->held++;
			return TFO_GUARD_OK;
		}
		counters->over[level & (TFO_LEVELS - 1)]++;
	}
	counters->answer[answer & (TFO_GUARD_ANSWERS - 1)]++;
	return answer;
}

/* The SYN goes through: a handshake is open. TFO_OPEN_FINER, or 0. */
static __always_inline int tfo_guard_open(const struct tfo_syn *syn, const struct tfo_guard *guard,
					  struct tfo_guard_vip *vip, struct tfo_handshake *at,
					  struct tfo_seat *seat, __u32 bucket)
{
	struct tfo_brought_up up;
	__u8 flags = 0;

	if (!seat->head && tfo_seat_find(seat, syn->tag, bucket, 1))
		tfo_seat_bring_up(seat, bucket, &up);
	tfo_load_open(&vip->head);
	if (seat->head) {
		if (tfo_wants_finer(guard, syn->flow->family,
				    tfo_load_of(seat->head, guard->flags)))
			flags |= TFO_HANDSHAKE_FINER;
		tfo_load_open(seat->head);
	}
	if (!seat->head)
		__sync_fetch_and_add(&vip->untracked, 1);
	if (tfo_is_pending(at, tfo_tick(tfo_now())))
		__sync_fetch_and_add(&vip->forgotten, 1);
	tfo_handshake_put(at, syn->hash, syn->isn, syn->len, flags, syn->slot, tfo_tick(tfo_now()));
	return flags ? TFO_OPEN_FINER : 0;
}

/* Is this SYN with data a copy of one that went through? `one`: a handshake of its tuple and ISN.
 */
static __always_inline int tfo_is_copy(const struct tfo_syn *syn, const struct tfo_guard *guard,
				       const struct tfo_handshake *one, __u32 now)
{
	return syn->data && tfo_handshake_len(one->word) &&
	       now - one->opened < guard->duplicate_ticks;
}

/* What the guard says of a SYN whose slot has it on; it opens a handshake where the SYN passes. */
static __always_inline int tfo_guard_judge(const struct tfo_syn *syn, const struct tfo_guard *guard,
					   struct tfo_guard_vip *vip, struct tfo_handshake_set *set)
{
	__u32 now = tfo_tick(tfo_now()), bucket = tfo_bucket(tfo_now()), listed = 0;
	struct tfo_handshake *at = tfo_handshake_find(set, syn->hash);
	int answer = TFO_GUARD_OK, over = 0;
	struct tfo_seat seat;

	/* A handshake that is open already opens no second one: the server knows its child. */
	if (at && at->isn == syn->isn && tfo_tick_age(now, at->opened) < TFO_PENDING_BUCKETS)
		return tfo_is_copy(syn, guard, at, now)
			       ? tfo_guard_say(syn, vip, TFO_GUARD_DUPLICATE, 0, bucket)
			       : TFO_GUARD_OK;
	tfo_vip_bring_up(vip, syn->slot, bucket);
	if (tfo_seat_find(&seat, syn->tag, bucket, 0))
		tfo_network_bring_up(&seat, vip, bucket);
	if (tfo_ctl.guard_list)
		listed = tfo_listed(syn->flow);
	if (listed == TFO_LIST_DENY)
		answer = TFO_GUARD_DENIED;
	else if (listed != TFO_LIST_ALLOW)
		over = tfo_level_over(syn, guard, &seat, tfo_load_of(&vip->head, 0));
	if (over == TFO_ASK_FINER)
		return TFO_ASK_FINER;
	if (over)
		answer = TFO_GUARD_OVER;
	if (answer != TFO_GUARD_OK)
		answer = tfo_guard_say(syn, vip, answer, over - 1, bucket);
	if (answer == TFO_GUARD_OK || !syn->acts)
		answer |= tfo_guard_open(syn, guard, vip, at ?: tfo_handshake_place(set, now),
					 &seat, bucket);
	return answer;
}

/*
 * An enum tfo_guard_answer for a SYN whose cookie is accepted, before anything is rewritten; only
 * with tfo_cfg.guard. What is not answered TFO_GUARD_OK opens no handshake, but in the modes that
 * only look: there the packet passes whatever the answer, and so takes its place in the server's
 * queue. `finer`: TFO_ASK_FINER at first; with TFO_ASK_FINER or TFO_OPEN_FINER see there.
 */
__attribute__((noinline)) int tfo_guard_syn(struct xdp_md *ctx, const struct tfo_packet *p,
					    int finer)
{
	__u32 slot = p ? p->slot : 0, settings = tfo_settings_index(slot, p ? p->flags : 0);
	struct tfo_guard *guard = bpf_map_lookup_elem(&guards, &settings);
	struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &slot);
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_handshake_set *set;
	struct tfo_flow flow;
	struct tfo_syn syn;
	const __u8 *tcp;

	if (!p || !guard || !vip || !(guard->flags & TFO_GUARD_ON) ||
	    !tfo_load_flow(&frame, p->family, p->ip & TFO_HEADERS, &flow))
		return TFO_GUARD_OK;
	tcp = tfo_at(&frame, p->tcp & TFO_HEADERS, TFO_TCP_LEN);
	if (!tcp)
		return TFO_GUARD_OK;
	syn = (struct tfo_syn){
		.flow = &flow,
		.hash = tfo_tuple_hash(&flow, tfo_load32(tcp), tfo_ctl.hash_seed),
		.tag = tfo_network_tag(&flow, slot, tfo_coarsest(flow.family)),
		.isn = tfo_be32(tfo_load32(tcp + 4)),
		.slot = slot,
		.len = p->ip_end - p->tcp - p->header_len,
		.data = p->data,
		.acts = p->mode == TFO_ENFORCE,
		.finer = finer,
	};
	set = tfo_handshakes_of(syn.hash);
	return set ? tfo_guard_judge(&syn, guard, vip, set) : TFO_GUARD_OK;
}

#endif /* TFO_GUARD_SYN_H */
