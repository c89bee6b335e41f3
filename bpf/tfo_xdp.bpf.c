// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Ingress: parse -> classify (VIP, options, cookie) -> guard -> policy -> count, one exit. What no
 * VIP's policy concerns passes.
 *
 * The stages of a SYN are global functions, called by the entry one after the other: the verifier
 * looks at each once, and their stacks never add up (512 bytes over all frames of a call chain). A
 * segment that is no SYN meets none of them.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "canary.h"
#include "clock.h"
#include "frame.h"
#include "guard.h"
#include "judge.h"
#include "maps.h"
#include "parse.h"
#include "plain.h"
#include "policy.h"
#include "rewrite.h"
#include "stats.h"
#include "synack.h"
#include "vip.h"

/*
 * The walk stands in a global function: the verifier looks at it once, on its own, whatever way
 * led to the call. What it gets it knows nothing of, hence the masks.
 */
__attribute__((noinline)) int tfo_walk(struct xdp_md *ctx, __u32 offset, __u32 len)
{
	struct tfo_frame frame = tfo_frame_of(ctx);

	return tfo_walk_options(frame.data + (offset & TFO_HEADERS), frame.end, len);
}

static __always_inline __u32 tfo_options(struct xdp_md *ctx, const struct tfo_frame *frame,
					 const struct tfo_packet *p)
{
	__u32 offset = (p->tcp & TFO_HEADERS) + TFO_TCP_LEN, len = p->header_len - TFO_TCP_LEN;
	__u32 found = tfo_linux_options(frame->data + offset, frame->end, len);

	return found == TFO_NEEDS_WALK ? (__u32)tfo_walk(ctx, offset, len) : found;
}

/*
 * The keys after the first, which nearly every good cookie was made with: a tfo_match(). `where`:
 * offset of the IP header, and the family << 16; the flow itself stays in the caller's registers.
 */
__attribute__((noinline)) int tfo_match_rest(struct xdp_md *ctx, __u32 where, __u32 index,
					     int reason, __u64 cookie)
{
	const struct tfo_ring *ring = bpf_map_lookup_elem(&rings, &index);
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_flow flow = {}; /* whole: clang moves what is not set about */

	if (!ring || !tfo_load_flow(&frame, where >> 16, where & TFO_HEADERS, &flow))
		return TFO_INTERNAL_ERROR;
	return tfo_match_cookie(ring, 1, reason, tfo_now(), &flow, cookie);
}

/* Puts the cookie of the ring's target in place of another. 0 if it cannot. */
static __always_inline int tfo_renew(const struct tfo_frame *frame, const struct tfo_site *site,
				     const struct tfo_flow *flow,
				     const struct tfo_generation *target)
{
	return target &&
	       tfo_put_cookie(frame, site, flow, tfo_make_cookie(target->k0, target->k1, flow),
			      tfo_cfg.partial);
}

/*
 * What is done with a SYN that is not simply passed, and the doing of it but for the drop: would |
 * verdict << 8.
 */
__attribute__((noinline)) int tfo_treat(struct xdp_md *ctx, const struct tfo_packet *p, int reason)
{
	__u32 slot = p ? p->slot : 0, index = p ? p->ring : 0;
	__u32 settings = tfo_settings_index(slot, p ? p->flags : 0);
	const struct tfo_policy *policy = bpf_map_lookup_elem(&policies, &settings);
	struct tfo_trigger *trigger = bpf_map_lookup_elem(&triggers, &slot);
	const struct tfo_ring *ring = bpf_map_lookup_elem(&rings, &index);
	struct tfo_frame frame = tfo_frame_of(ctx);
	const struct tfo_generation *target;
	struct tfo_facts facts;
	struct tfo_case what;
	struct tfo_flow flow = {};
	int would, verdict;
	const __u8 *tcp;

	if (!p || !policy || !trigger || !ring ||
	    !tfo_load_flow(&frame, p->family, p->ip & TFO_HEADERS, &flow))
		return TFO_PASS;
	tfo_case_of(&what, p, reason);
	tfo_facts_of(&facts, &what, ring, tfo_now());
	target = facts.renewable ? tfo_renew_target(ring, facts.now_ns) : 0;
	facts.renewable = !!target;
	facts.is_signed = what.site.option &&
			  tfo_is_signed(frame.data + (what.site.tcp & TFO_HEADERS) + TFO_TCP_LEN,
					frame.end, what.site.options);
	would = tfo_decide(policy, trigger, &facts);
	if (would & TFO_IF_RETRIED) {
		tcp = tfo_at(&frame, what.site.tcp & TFO_HEADERS, TFO_TCP_LEN);
		would = tfo_decide_retried(policy, trigger, &facts, would,
					   tcp && tfo_guard_retry(&flow, tcp));
	}
	verdict = tfo_verdict(p->mode, would);
	if (verdict == TFO_RENEW && !tfo_renew(&frame, &what.site, &flow, target))
		return TFO_PASS;
	if (verdict == TFO_DEMOTE && !tfo_put_request(&frame, &what.site, &flow, tfo_cfg.partial))
		return TFO_PASS;
	return would | verdict << 8;
}

static __always_inline int tfo_check_cookie(struct xdp_md *ctx, const struct tfo_frame *frame,
					    struct tfo_packet *p, const struct tfo_flow *flow)
{
	__u32 offset = (p->option & TFO_HEADERS) + tfo_option_base(p->option_kind);
	const __u8 *at = tfo_at(frame, offset, TFO_COOKIE_LEN);
	__u32 index = p->ring;
	const struct tfo_ring *ring = bpf_map_lookup_elem(&rings, &index);
	__u64 cookie;
	int match;

	if (!at)
		return TFO_INTERNAL_ERROR;
	cookie = tfo_load64(at);
	if (!ring)
		return TFO_INTERNAL_ERROR;
	if (!ring->count)
		return TFO_NO_KEY;
	match = tfo_try_key(&ring->generation[0], tfo_now(), flow, cookie);
	if (!tfo_is_match(match)) {
		match = tfo_match_rest(ctx, p->ip | (__u32)p->family << 16, index, match, cookie);
		p->generation = tfo_match_generation(match);
		match = tfo_match_reason(match);
	}
	if (tfo_may_renew(p, match, ring))
		p->would = TFO_RENEW; /* if there is a target */
	return match;
}

/* A valid cookie says that the pool's keys are the servers'. */
static __always_inline void tfo_note_proof(const struct tfo_packet *p)
{
	__u32 slot = p->slot;
	struct tfo_trigger *trigger = bpf_map_lookup_elem(&triggers, &slot);

	if (trigger)
		tfo_prove(trigger, tfo_now());
}

/* The reason of a SYN whose header is whole: *p is parsed. */
static __always_inline int tfo_classify_syn(struct xdp_md *ctx, const struct tfo_frame *frame,
					    struct tfo_packet *p)
{
	const __u8 *tcp = tfo_at(frame, p->tcp & TFO_HEADERS, TFO_TCP_LEN);
	struct tfo_vip_key key;
	struct tfo_flow flow;
	struct tfo_vip *vip;
	__u32 found, pool;
	int reason;

	if (!tcp || !tfo_load_flow(frame, p->family, p->ip & TFO_HEADERS, &flow))
		return TFO_INTERNAL_ERROR;
	tfo_vip_key_of(&key, &flow, tfo_load16(tcp + 2));
	vip = tfo_vip_find(&key);
	if (!vip)
		return TFO_NOT_VIP;
	p->slot = vip->slot;
	p->flags = vip->flags;
	p->mode = tfo_client_mode(vip->mode, vip->canary, &flow);
	found = tfo_options(ctx, frame, p);
	tfo_note_options(p, found);
	reason = tfo_judge_options(p, found);
	pool = vip->pool & (TFO_MAX_POOLS - 1);
	p->ring = pool * 2 + (*(volatile __u32 *)&tfo_ctl.pool_side[pool] & 1);
	if (reason != TFO_GO_ON)
		return reason;
	if (tfo_cfg.guard)
		tfo_guard_touch(tcp, p, &flow);
	reason = tfo_check_cookie(ctx, frame, p, &flow);
	if (p->flags & TFO_VIP_PROVE && tfo_is_accepted(reason))
		tfo_note_proof(p);
	return reason;
}

/*
 * A SYN whose header is not whole: counted for the node, since its VIP is none of its reasons, but
 * the VIP says what becomes of it.
 */
static __always_inline void tfo_treat_truncated(const struct tfo_frame *frame, struct tfo_packet *p)
{
	const __u8 *tcp = tfo_at(frame, p->tcp & TFO_HEADERS, TFO_FRAGMENT_MIN);
	const struct tfo_policy *policy;
	struct tfo_vip_key key;
	struct tfo_flow flow = {};
	struct tfo_vip *vip;
	__u32 settings;

	if (!tcp || !tfo_may_be_syn(frame, p) ||
	    !tfo_load_flow(frame, p->family, p->ip & TFO_HEADERS, &flow))
		return;
	tfo_vip_key_of(&key, &flow, tfo_load16(tcp + 2));
	vip = tfo_vip_find(&key);
	if (!vip)
		return;
	settings = tfo_settings_index(vip->slot, vip->flags);
	policy = bpf_map_lookup_elem(&policies, &settings);
	if (!policy || policy->on_truncated != TFO_DROP)
		return;
	p->would = TFO_DROP;
	p->verdict = tfo_verdict(tfo_client_mode(vip->mode, vip->canary, &flow), TFO_DROP);
}

/* Some extension headers more; see parse.h. */
__attribute__((noinline)) int tfo_parse_more(struct xdp_md *ctx, struct tfo_packet *p, __u32 offset,
					     __u32 chain)
{
	struct tfo_frame frame = tfo_frame_of(ctx);

	return p ? tfo_parse_chain(&frame, p, offset, chain) : TFO_INTERNAL_ERROR;
}

/* What an outer packet carries; see parse.h. */
__attribute__((noinline)) int tfo_parse_inner(struct xdp_md *ctx, struct tfo_packet *p,
					      __u32 offset, __u32 next)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_layer layer = {.offset = offset & TFO_HEADERS, .next = next};

	if (!p)
		return TFO_INTERNAL_ERROR;
	layer.limit = p->ip_end;
	return tfo_parse_inner_ip(&frame, p, &layer);
}

/* Everything but the plain frames that the entry knows. *p starts zeroed. */
__attribute__((noinline)) int tfo_parse_any(struct xdp_md *ctx, struct tfo_packet *p)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	int reason = p ? tfo_parse(&frame, &tfo_cfg, p) : TFO_INTERNAL_ERROR;

	if (reason == TFO_TRUNCATED)
		tfo_treat_truncated(&frame, p);
	return reason;
}

/* The same of a SYN that is not plain. */
__attribute__((noinline)) int tfo_classify_any(struct xdp_md *ctx, struct tfo_packet *p)
{
	struct tfo_frame frame = tfo_frame_of(ctx);

	return p ? tfo_classify_syn(ctx, &frame, p) : TFO_INTERNAL_ERROR;
}

/* Could the guard or the policy do more with this SYN than pass it? Not with nearly all. */
static __always_inline int tfo_concerns(const struct tfo_packet *p, int reason)
{
	return (tfo_cfg.guard && (tfo_is_accepted(reason) || reason == TFO_REQUEST)) ||
	       p->would != TFO_PASS || tfo_concerns_policy(p->flags, reason);
}

/* What becomes of a SYN that they may do something with. */
static __always_inline void tfo_act(struct xdp_md *ctx, struct tfo_packet *p, int reason)
{
	int done;

	if (tfo_cfg.guard && tfo_is_accepted(reason))
		p->guard = tfo_guard_ask(ctx, p);
	else if (tfo_cfg.guard && reason == TFO_REQUEST)
		tfo_guard_request(ctx, p);
	if (p->would == TFO_PASS && p->guard == TFO_GUARD_OK &&
	    !tfo_concerns_policy(p->flags, reason))
		return;
	done = tfo_treat(ctx, p, reason);
	p->would = done & (TFO_ACTION_COUNT - 1);
	p->verdict = done >> 8 & (TFO_ACTION_COUNT - 1);
	if (tfo_cfg.guard && p->guard != TFO_GUARD_OK && p->would == TFO_PASS)
		tfo_guard_spared(p->slot);
}

/* The one exit. A chained program finds its place here. */
static __always_inline int tfo_exit(const struct tfo_packet *p, int reason)
{
	if (reason != TFO_OTHER || tfo_cfg.count_other)
		tfo_count(p, reason);
	if (tfo_cfg.trace)
		tfo_leave_trace(p, reason);
	return p->verdict == TFO_DROP ? XDP_DROP : XDP_PASS;
}

SEC("xdp.frags")
int tfo_xdp(struct xdp_md *ctx)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_packet packet = {}, other;
	int reason = tfo_parse_plain(&frame, &tfo_cfg, &packet);

	/*
	 * A description of its own for what global functions are given: the first one is never
	 * memory. It is not copied back: what was written in bytes is slow to load in words.
	 */
	if (reason == TFO_GO_ON) {
		if (tfo_cfg.monitor & TFO_MONITOR_INSIDE)
			tfo_syn_through(ctx, packet.ip | packet.tcp << 16, packet.family);
		reason = tfo_classify_syn(ctx, &frame, &packet);
		if (!tfo_concerns(&packet, reason))
			return tfo_exit(&packet, reason);
		other = packet;
		tfo_act(ctx, &other, reason);
		return tfo_exit(&other, reason);
	}
	if (reason == TFO_NOT_PLAIN) {
		other = (struct tfo_packet){};
		reason = tfo_parse_any(ctx, &other);
		if (tfo_cfg.monitor)
			tfo_monitor_other(ctx, &other, reason);
		if (reason == TFO_GO_ON) {
			reason = tfo_classify_any(ctx, &other);
			tfo_act(ctx, &other, reason);
		} else if (tfo_cfg.guard) {
			tfo_guard_other(ctx, &other, reason);
		}
		return tfo_exit(&other, reason);
	}
	if (tfo_cfg.monitor)
		tfo_monitor(ctx, &frame, &packet, reason);
	if (tfo_cfg.guard && reason == TFO_OTHER)
		tfo_guard_settle(ctx, &frame, &packet);
	else if (tfo_cfg.guard && reason == TFO_NOT_TCP)
		tfo_guard_icmp(ctx);
	return tfo_exit(&packet, reason);
}

/* Run once by the loader (BPF_PROG_TEST_RUN). Returns 0, or 1 if the clock could not be started. */
SEC("xdp")
int tfo_clock_start(struct xdp_md *ctx)
{
	(void)ctx;
	return tfo_clock_arm() ? 1 : 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
