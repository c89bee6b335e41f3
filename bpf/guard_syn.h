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
#include "guard_turn.h"
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
	__u8 part; /* and more of it in other fragments */
	__u8 acts; /* the answer decides what is done with it */
	__u16 finer; /* what tfo_guard_finer() said, or TFO_ASK_FINER */
};

#define TFO_ASK_FINER 0x100 /* with no answer yet: tfo_guard_finer() knows, then ask again */
#define TFO_OPEN_FINER 0x200 /* with an answer: tfo_guard_finer() has to open it, too */

/*
 * The levels below the coarsest: `opens` a handshake on each, or returns 1 + the level that is over
 * its limit, or 0. Few SYNs come here. Opens are never held against these (TFO_GUARD_COUNT_OPENS):
 * their limits are low, and an honest address soon opens more in two minutes.
 */
__attribute__((noinline)) int tfo_guard_finer(struct xdp_md *ctx, const struct tfo_packet *p,
					      int opens)
{
	__u32 slot = p ? p->slot : 0, bucket = tfo_bucket(tfo_now());
	__u32 settings = tfo_settings_index(slot, p ? p->flags : 0);
	const struct tfo_guard *guard = bpf_map_lookup_elem(&guards, &settings);
	struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &slot);
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_flow flow = {};
	__u32 limit;
	int level;

	if (!p || !guard || !vip || !tfo_load_flow(&frame, p->family, p->ip & TFO_HEADERS, &flow))
		return 0;
	/* Unrolled: clang-14's loop is none that verifiers up to 6.1 know. */
#pragma clang loop unroll(full)
	for (level = TFO_LEVEL_ADDRESS; level < TFO_LEVEL_SITE; level++) {
		struct tfo_brought_up up;
		struct tfo_seat seat;

		if (level >= tfo_coarsest(p->family) || !guard->limit[level] ||
		    !tfo_seat_of(&seat, &flow, slot, level, bucket, opens ? TFO_PRICELESS : 0))
			continue;
		tfo_seat_bring_up(&seat, bucket, &up);
		limit = tfo_limit_now(guard->limit[level], tfo_load_of(&vip->head, 0),
				      guard->limit[TFO_LEVEL_VIP]);
		if (opens)
			tfo_load_open(seat.head);
		else if (tfo_seat_is_over(&flow, &seat, slot, level, tfo_load_of(seat.head, 0),
					  limit))
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

#define TFO_LIST_LOOKS 4

/*
 * The operator's word on this source: enum tfo_guard_list_verdict, or 0. Few nodes ask. The longest
 * entry that has not ended counts; ended ones stay until user space takes them away, and more than
 * TFO_LIST_LOOKS - 1 of them, one within the other, hide what is around them until then.
 */
__attribute__((noinline)) int tfo_listed(const struct tfo_flow *flow)
{
	const struct tfo_guard_list_entry *entry;
	struct tfo_guard_list_key key = {.length = 128};
	struct tfo_network network;
	int i;

	if (!flow)
		return 0;
	tfo_network_of(&network, flow, TFO_LEVEL_ADDRESS);
	__builtin_memcpy(key.prefix, &network, sizeof(key.prefix));
	for (i = 0; i < TFO_LIST_LOOKS; i++) {
		entry = bpf_map_lookup_elem(&guard_list, &key);
		if (!entry)
			return 0;
		/* Shorter than all of IPv4's, it is a word on IPv6. */
		if (flow->family == 4 && entry->length < 96)
			return 0;
		if (entry->until_ns > tfo_now())
			return entry->verdict;
		if (!entry->length)
			return 0;
		key.length = entry->length - 1;
	}
	return 0;
}

/*
 * 1 + the level that is over its limit, 0 for none, or TFO_ASK_FINER. `seat`: the coarsest
 * network's, if it has one. `listed`: the operator's word, which lifts the network's limits; the
 * servers' queues hold no more for that.
 */
static __always_inline int tfo_level_over(const struct tfo_syn *syn, const struct tfo_guard *guard,
					  const struct tfo_seat *seat, __u32 vip_load, __u32 listed)
{
	int level = tfo_coarsest(syn->flow->family);
	__u32 load, limit;

	if (tfo_is_full(vip_load, guard->limit[TFO_LEVEL_VIP]))
		return 1 + TFO_LEVEL_VIP;
	if (listed == TFO_LIST_ALLOW)
		return 0;
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

/*
 * Is it held against a network that it is over a limit? Not while the guard is blind; but a VIP at
 * its cap has no room for doubt, and blindness can be feigned.
 */
static __always_inline int tfo_is_held(const struct tfo_guard *guard,
				       const struct tfo_guard_vip *vip, __u32 bucket)
{
	__u32 cap = guard->limit[TFO_LEVEL_VIP];

	return !(guard->flags & TFO_GUARD_OVERFLOW) && tfo_is_blind(vip, bucket) &&
	       !(cap && tfo_load_of(&vip->head, 0) >= cap);
}

/* Counts an answer that is not simply yes; blindness turns "over" into yes. */
static __always_inline int tfo_guard_say(const struct tfo_syn *syn, const struct tfo_guard *guard,
					 const struct tfo_guard_vip *vip, int answer, int level,
					 __u32 bucket)
{
	struct tfo_guard_counters *counters = tfo_guard_counters_of(syn->slot);

	if (!counters)
		return answer;
	if (answer == TFO_GUARD_OVER) {
		if (tfo_is_held(guard, vip, bucket)) {
			counters->held++;
			return TFO_GUARD_OK;
		}
		counters->over[level & (TFO_LEVELS - 1)]++;
	}
	counters->answer[answer & (TFO_GUARD_ANSWERS - 1)]++;
	return answer;
}

/* What the SYN leaves in the table in this state. */
static __always_inline void tfo_opening_of(struct tfo_opening *what, const struct tfo_syn *syn,
					   __u8 state, __u8 flags)
{
	*what = (struct tfo_opening){
		.hash = syn->hash,
		.isn = syn->isn,
		.slot = syn->slot,
		.len = syn->len,
		.state = state,
		.flags = flags,
	};
}

static __always_inline __u8 tfo_data_flags(const struct tfo_syn *syn)
{
	return (syn->data ? TFO_HANDSHAKE_DATA : 0) | (syn->part ? TFO_HANDSHAKE_PART : 0);
}

/* The SYN goes through: a handshake is open. TFO_OPEN_FINER, or 0. */
static __always_inline int tfo_guard_open(const struct tfo_syn *syn, const struct tfo_guard *guard,
					  struct tfo_guard_vip *vip, struct tfo_handshake *at,
					  struct tfo_seat *seat, __u32 bucket)
{
	__u8 flags = tfo_data_flags(syn);
	__u32 now = tfo_tick(tfo_now());
	struct tfo_opening what;

	if (!seat->head)
		tfo_seat_find(seat, syn->tag, bucket, TFO_PRICELESS); /* it begins in this bucket */
	tfo_load_open(&vip->head);
	if (seat->head) {
		if (tfo_wants_finer(guard, syn->flow->family,
				    tfo_load_of(seat->head, guard->flags)))
			flags |= TFO_HANDSHAKE_FINER;
		tfo_load_open(seat->head);
	}
	if (!seat->head)
		__sync_fetch_and_add(&vip->untracked, 1);
	if (tfo_is_pending(at, now))
		__sync_fetch_and_add(&vip->forgotten, 1);
	tfo_opening_of(&what, syn, TFO_HANDSHAKE_PENDING, flags);
	tfo_handshake_put(at, &what, now);
	return flags & TFO_HANDSHAKE_FINER ? TFO_OPEN_FINER : 0;
}

/*
 * TFO_GUARD_DUPLICATE if this SYN with data is a copy of one that came before, else TFO_GUARD_OK.
 * Also of one that was demoted: its client sends the data again, behind the handshake. That is said
 * by TFO_GUARD_OWN as long as nobody answered, for the first one may have been dropped in the end.
 * `one`: a handshake of its tuple, or NULL.
 */
static __always_inline int tfo_guard_seen(const struct tfo_syn *syn, const struct tfo_guard *guard,
					  const struct tfo_handshake *one, __u32 now)
{
	if (!syn->data || !one || one->isn != syn->isn ||
	    !tfo_is_remembered(one, now, guard->duplicate_ticks))
		return TFO_GUARD_OK;
	return tfo_handshake_state(one->word) == TFO_HANDSHAKE_TRIAL
		       ? TFO_GUARD_DUPLICATE | TFO_GUARD_OWN
		       : TFO_GUARD_DUPLICATE;
}

/*
 * What the guard says of a SYN whose slot has it on; it opens a handshake where the SYN passes.
 *
 * The same SYN again opens another: a server that lost its child to a RST, which may have come in
 * fragments that nobody saw, takes a second place in its queue for it and holds the first one for a
 * minute. Those who honestly repeat a SYN with its cookie are few: Linux leaves it out.
 */
static __always_inline int tfo_guard_judge(const struct tfo_syn *syn, const struct tfo_guard *guard,
					   struct tfo_guard_vip *vip, struct tfo_handshake_set *set)
{
	__u32 now = tfo_tick(tfo_now()), bucket = tfo_bucket(tfo_now()), listed = 0;
	struct tfo_handshake *at = tfo_handshake_find(set, syn->hash);
	int answer = tfo_guard_seen(syn, guard, at, now), over = 0;
	struct tfo_seat seat;

	at = at ?: tfo_handshake_place(set, now);
	tfo_vip_bring_up(vip, syn->slot, bucket);
	if (tfo_seat_find(&seat, syn->tag, bucket, 0))
		tfo_network_bring_up(&seat, vip, bucket,
				     guard->limit[tfo_coarsest(syn->flow->family)]);
	if (answer == TFO_GUARD_OK && tfo_ctl.guard_list)
		listed = tfo_listed(syn->flow);
	if (listed == TFO_LIST_DENY)
		answer = TFO_GUARD_DENIED;
	else if (answer == TFO_GUARD_OK)
		over = tfo_level_over(syn, guard, &seat, tfo_load_of(&vip->head, 0), listed);
	if (over == TFO_ASK_FINER)
		return TFO_ASK_FINER;
	if (over)
		answer = TFO_GUARD_OVER;
	if (answer != TFO_GUARD_OK)
		answer = tfo_guard_say(syn, guard, vip, answer, over - 1, bucket);
	if (answer == TFO_GUARD_OK || !syn->acts)
		answer |= tfo_guard_open(syn, guard, vip, at, &seat, bucket);
	return answer;
}

/* What the guard has to know of a SYN; *flow is set, too. 0 if its headers are not there. */
static __always_inline int tfo_syn_of(struct tfo_syn *syn, struct tfo_flow *flow,
				      struct xdp_md *ctx, const struct tfo_packet *p)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	const __u8 *tcp;

	if (!tfo_load_flow(&frame, p->family, p->ip & TFO_HEADERS, flow))
		return 0;
	tcp = tfo_at(&frame, p->tcp & TFO_HEADERS, TFO_TCP_LEN);
	if (!tcp)
		return 0;
	*syn = (struct tfo_syn){
		.flow = flow,
		.hash = tfo_tuple_hash(flow, tfo_load32(tcp), tfo_ctl.hash_seed),
		.tag = tfo_network_tag(flow, p->slot, tfo_coarsest(flow->family)),
		.isn = tfo_be32(tfo_load32(tcp + 4)),
		.slot = p->slot,
		.len = p->ip_end - p->tcp - p->header_len,
		.data = p->data,
		.part = p->first_fragment,
		.acts = p->mode == TFO_ENFORCE,
		.finer = TFO_ASK_FINER,
	};
	return 1;
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
	struct tfo_handshake_set *set;
	struct tfo_flow flow;
	struct tfo_syn syn;

	if (!p || !guard || !vip || !(guard->flags & TFO_GUARD_ON) ||
	    !tfo_syn_of(&syn, &flow, ctx, p))
		return TFO_GUARD_OK;
	syn.finer = finer;
	/* In memory: one by one in registers that clang spills, it takes twice the stack. */
	asm volatile("" : : "r"(&syn) : "memory");
	set = tfo_handshakes_of(syn.hash);
	return set ? tfo_guard_judge(&syn, guard, vip, set) : TFO_GUARD_OK;
}

#endif /* TFO_GUARD_SYN_H */
