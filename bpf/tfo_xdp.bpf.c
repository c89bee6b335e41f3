// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Ingress: parse -> VIP -> options -> cookie -> count, one exit. Every VIP is observed: the class
 * of each SYN is counted and the packet passes untouched.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "clock.h"
#include "judge.h"
#include "maps.h"
#include "parse.h"
#include "stats.h"
#include "vip.h"

/*
 * The walk stands in a global function: the verifier looks at it once, on its own, however much
 * logic surrounds the call. Offsets are those of struct tfo_packet.
 */
__attribute__((noinline)) int tfo_walk(struct xdp_md *ctx, __u32 offset, __u32 len)
{
	const __u8 *data = (const __u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;

	return tfo_walk_options(data + (offset & 0x7fff), end, len);
}

static __always_inline __u32 tfo_options(struct xdp_md *ctx, const struct tfo_frame *frame,
					 const struct tfo_packet *p)
{
	__u32 offset = p->tcp + 20, len = p->header_len - 20;
	__u32 found = tfo_linux_options(frame->data + offset, frame->end, len);

	return found == TFO_NEEDS_WALK ? (__u32)tfo_walk(ctx, offset, len) : found;
}

static __always_inline int tfo_check_cookie(const struct tfo_frame *frame,
					    const struct tfo_packet *p,
					    const struct tfo_flow *flow, const struct tfo_vip *vip)
{
	__u32 base = p->option_seen == TFO_OPTION_254 ? 4 : 2;
	const __u8 *cookie = tfo_at(frame, p->option + base, TFO_COOKIE_LEN);
	__u32 pool = vip->pool & (TFO_MAX_POOLS - 1);
	__u32 index = pool * 2 + (*(volatile __u32 *)&tfo_ctl.pool_side[pool] & 1);
	const struct tfo_ring *ring = bpf_map_lookup_elem(&rings, &index);

	if (!cookie || !ring)
		return TFO_INTERNAL_ERROR;
	return tfo_match_cookie(ring, tfo_now(), flow, tfo_load64(cookie));
}

/* The reason of a SYN whose header is whole. */
static __always_inline int tfo_classify_syn(struct xdp_md *ctx, const struct tfo_frame *frame,
					    struct tfo_packet *p)
{
	const __u8 *tcp = tfo_at(frame, p->tcp, TFO_TCP_LEN);
	struct tfo_vip_key key;
	struct tfo_flow flow;
	struct tfo_vip *vip;
	__u32 found;
	int reason;

	if (!tcp || !tfo_load_flow(frame, p, &flow))
		return TFO_INTERNAL_ERROR;
	tfo_vip_key_of(&key, &flow, tfo_load16(tcp + 2));
	vip = tfo_vip_find(&key);
	if (!vip)
		return TFO_NOT_VIP;
	p->slot = vip->slot;
	found = tfo_options(ctx, frame, p);
	tfo_note_options(p, found);
	reason = tfo_judge_options(p, found);
	return reason == TFO_GO_ON ? tfo_check_cookie(frame, p, &flow, vip) : reason;
}

/* The one exit. Policy, the guard and a chained program find their place here. */
static __always_inline int tfo_exit(const struct tfo_packet *p, int reason)
{
	if (reason != TFO_OTHER || tfo_cfg.count_other)
		tfo_count(p, reason);
	return XDP_PASS;
}

SEC("xdp.frags")
int tfo_xdp(struct xdp_md *ctx)
{
	struct tfo_frame frame = {
		.data = (const __u8 *)(long)ctx->data,
		.end = (const __u8 *)(long)ctx->data_end,
	};
	struct tfo_packet p = {.slot = TFO_NODE_SLOT};
	int reason = tfo_parse(&frame, &tfo_cfg, &p);

	/* Longer than its linear part: only the whole frame's length tells a jumbo from a lie. */
	if (p.need > frame.end - frame.data && p.need > bpf_xdp_get_buff_len(ctx))
		reason = TFO_NOT_TCP;
	if (reason == TFO_GO_ON)
		reason = tfo_classify_syn(ctx, &frame, &p);
	return tfo_exit(&p, reason);
}

/* Run once by the loader (BPF_PROG_TEST_RUN). Returns 0, or 1 if the clock could not be started. */
SEC("xdp")
int tfo_clock_start(struct xdp_md *ctx)
{
	(void)ctx;
	return tfo_clock_arm() ? 1 : 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
