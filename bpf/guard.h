/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell of the guard. The program's order for a SYN to a VIP: classify -> tfo_guard_syn()
 * where the cookie is accepted -> policy -> rewrite or drop -> count. What is asked often is
 * inline; the work stands in global functions (guard_syn.h, guard_answer.h), which the verifier
 * looks at once.
 */
#ifndef TFO_GUARD_H
#define TFO_GUARD_H

#include "guard_answer.h"
#include "guard_icmp.h"
#include "guard_request.h"
#include "guard_syn.h"
#include "retry.h"

static __always_inline void tfo_touch(const void *line)
{
	if (line)
		(void)*(const volatile __u64 *)line;
}

/*
 * Loads a word of every cache line that the guard and the counters will want if the cookie is good,
 * while there still is the cookie to check: where nothing is in a cache the lines come together,
 * and not one after the other, since the guard's atomics let no later load go ahead of them. Not
 * with clang-14, whose entry would have too large a stack.
 */
#if __clang_major__ > 14
static __always_inline void tfo_guard_touch(const __u8 *tcp, const struct tfo_packet *p,
					    const struct tfo_flow *flow)
{
	__u32 slot = p->slot, index;
	const struct tfo_counters *counters;

	tfo_touch(tfo_handshakes_of(tfo_tuple_hash(flow, tfo_load32(tcp), tfo_ctl.hash_seed)));
	index = tfo_network_tag(flow, slot, tfo_coarsest(flow->family)) & tfo_ctl.head_mask;
	tfo_touch(bpf_map_lookup_elem(&guard_heads, &index));
	tfo_touch(bpf_map_lookup_elem(&guard_vips, &slot));
	index = tfo_settings_index(slot, p->flags);
	tfo_touch(bpf_map_lookup_elem(&guards, &index));
	counters = bpf_map_lookup_elem(&stats, &slot);
	if (counters)
		tfo_touch(&counters->cell[TFO_COOKIE_CURRENT][TFO_OPTION_34][1]);
}
#else
#define tfo_guard_touch(tcp, p, flow)
#endif

/*
 * The guard's answer to a SYN whose cookie is accepted, with TFO_GUARD_OWN or without; see
 * tfo_guard_syn().
 */
static __always_inline int tfo_guard_ask(struct xdp_md *ctx, const struct tfo_packet *p)
{
	int answer = tfo_guard_syn(ctx, p, TFO_ASK_FINER);

	if (answer == TFO_ASK_FINER)
		answer = tfo_guard_syn(ctx, p, tfo_guard_finer(ctx, p, 0));
	if (answer & TFO_OPEN_FINER)
		tfo_guard_finer(ctx, p, 1);
	if ((answer & (TFO_GUARD_ANSWERS - 1)) == TFO_GUARD_OVER)
		answer |= tfo_guard_own(ctx, p);
	return answer & (TFO_GUARD_OWN | (TFO_GUARD_ANSWERS - 1));
}

/* Whatever the guard said, the policy let the SYN through. Global: few come here. */
__attribute__((noinline)) int tfo_guard_spared(__u32 slot)
{
	struct tfo_guard_counters *counters = tfo_guard_counters_of(slot);

	if (counters)
		counters->spared++;
	return 0;
}

/*
 * For a VIP that takes unproven SYNs as retransmissions only: 1 if this one was seen half a second
 * to 8 seconds ago, else it is remembered and the answer is 0. Without a table all may pass.
 */
static __always_inline int tfo_guard_retry(const struct tfo_flow *flow, const __u8 *tcp)
{
	__u64 hash = tfo_tuple_hash(flow, tfo_load32(tcp), tfo_ctl.hash_seed);
	struct tfo_retry_set *set;
	__u32 index;

	hash = (hash ^ tfo_load32(tcp + 4)) * 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 31;
	index = hash & tfo_ctl.retry_mask;
	set = bpf_map_lookup_elem(&retries, &index);
	return set ? tfo_retry_seen(set, hash >> 20, tfo_tick(tfo_now()) >> TFO_RETRY_UNIT) : 1;
}

/*
 * A segment that is no SYN: it may settle a handshake. Nearly all leave at the hint. `p`: parsed up
 * to its TCP header.
 */
static __always_inline void tfo_guard_settle(struct xdp_md *ctx, const struct tfo_frame *frame,
					     const struct tfo_packet *p)
{
	const __u8 *tcp = tfo_at(frame, p->tcp & TFO_HEADERS, TFO_TCP_LEN);
	struct tfo_flow flow;
	__u64 hash;

	if (!tcp || !tfo_load_flow(frame, p->family, p->ip & TFO_HEADERS, &flow))
		return;
	hash = tfo_tuple_hash(&flow, tfo_load32(tcp), tfo_ctl.hash_seed);
	if (tfo_handshake_hint(hash))
		tfo_guard_answered(ctx, hash, p->ip, p->tcp, p->family);
}

/* The same for frames that are not plain, and ICMP errors among them. */
__attribute__((noinline)) int tfo_guard_other(struct xdp_md *ctx, const struct tfo_packet *p,
					      int reason)
{
	struct tfo_frame frame = tfo_frame_of(ctx);

	if (p && reason == TFO_OTHER)
		tfo_guard_settle(ctx, &frame, p);
	if (p && reason == TFO_NOT_TCP)
		tfo_guard_icmp(ctx);
	return 0;
}

#endif /* TFO_GUARD_H */
