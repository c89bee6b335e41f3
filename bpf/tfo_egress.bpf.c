// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * tc egress, where the servers' answers leave through this node (a server's own, or an inline
 * balancer's): remembers the number of each SYN-ACK that answers a pending handshake. An ACK then
 * settles it only if it acknowledges that number, which nobody can who did not receive it: the
 * guard's exact form. If it leaves again, the handshake is pending again. For the SYN-ACK monitor
 * it remembers the SYNs that leave. Every packet goes on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define TFO_ONE_ROUND /* no SYN of a host carries more extension headers */
#include "guard_synack.h"
#include "maps.h"
#include "parse.h"
#include "plain.h"
#include "syn_out.h"

#define TFO_TC_NEXT (-1) /* TC_ACT_UNSPEC of a clsact filter, TCX_NEXT of a tcx link */

tfo_inline __u32 tfo_frame_len(const struct tfo_frame *frame)
{
	return ((struct __sk_buff *)frame->context)->len;
}

/*
 * A SYN that is not plain: with data its own socket leaves it in pieces, of which the first holds
 * the headers. What it is encapsulated in was added behind this hook.
 */
static __always_inline int tfo_parse_outgoing(const struct tfo_frame *frame, struct tfo_packet *p)
{
	struct tfo_layer layer = {.offset = 0, .limit = ~0U, .next = 0, .fragmented = 0};
	int reason = tfo_parse_link(frame, tfo_cfg.l3_device, &layer);

	return reason >= 0 ? reason : tfo_parse_inner_ip(frame, p, &layer);
}

static __always_inline struct tfo_frame tfo_frame_of_skb(struct __sk_buff *skb)
{
	return (struct tfo_frame){
		.data = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.context = skb,
	};
}

/* A SYN leaves. `where`: offset of IP, that of TCP << 16. Global: others do not pay its stack. */
__attribute__((noinline)) int tfo_syn_leaves(struct __sk_buff *skb, __u32 where, __u32 family)
{
	struct tfo_frame frame = tfo_frame_of_skb(skb);
	const __u8 *tcp = tfo_at(&frame, where >> 16 & TFO_HEADERS, TFO_TCP_LEN);
	struct tfo_flow flow = {};

	if (tcp && tfo_load_flow(&frame, family, where & TFO_HEADERS, &flow))
		tfo_syn_left(&flow, tcp);
	return 0;
}

/* A packet that is not plain and may be a SYN. */
__attribute__((noinline)) int tfo_outgoing(struct __sk_buff *skb)
{
	struct tfo_frame frame = tfo_frame_of_skb(skb);
	struct tfo_packet p = {};

	if (tfo_parse_outgoing(&frame, &p) == TFO_GO_ON)
		tfo_syn_leaves(skb, p.ip | p.tcp << 16, p.family);
	return 0;
}

/* Where SYNs are remembered as they come in, only this node's own are left for here. */
static __always_inline int tfo_tracks(const struct __sk_buff *skb)
{
	return tfo_cfg.monitor &&
	       (!(tfo_cfg.monitor & TFO_MONITOR_INSIDE) || !skb->ingress_ifindex);
}

/* The monitor's part. Data in pieces (GSO) is not plain either, and most of what a server sends. */
static __always_inline void tfo_track(struct __sk_buff *skb, const struct tfo_frame *frame,
				      const struct tfo_packet *p, int reason)
{
	if (reason == TFO_GO_ON)
		tfo_syn_leaves(skb, p->ip | p->tcp << 16, p->family);
	else if (reason == TFO_NOT_PLAIN && (!p->tcp || tfo_may_be_syn(frame, p)))
		tfo_outgoing(skb);
}

SEC("tc")
int tfo_egress(struct __sk_buff *skb)
{
	struct tfo_frame frame = tfo_frame_of_skb(skb);
	struct tfo_answer answer = {};
	struct tfo_packet p = {};
	struct tfo_flow out;
	const __u8 *tcp;
	int reason = tfo_parse_plain(&frame, &tfo_cfg, &p);

	if (tfo_tracks(skb))
		tfo_track(skb, &frame, &p, reason);
	/* One that came in where it leaves is no answer of a server behind this node. */
	if (reason != TFO_SYN_ACK || tfo_cfg.monitor_only || skb->ingress_ifindex == skb->ifindex)
		return TFO_TC_NEXT;
	tcp = tfo_at(&frame, p.tcp & TFO_HEADERS, TFO_TCP_LEN);
	if (!tcp || !tfo_load_flow(&frame, p.family, p.ip & TFO_HEADERS, &out))
		return TFO_TC_NEXT;
	tfo_reverse_flow(&answer.flow, &out);
	answer.hash =
		tfo_tuple_hash(&answer.flow, tfo_reverse_ports(tfo_load32(tcp)), tfo_ctl.hash_seed);
	answer.seq = tfo_be32(tfo_load32(tcp + 4));
	answer.ack = tfo_be32(tfo_load32(tcp + 8));
	tfo_guard_synack(&answer);
	return TFO_TC_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
