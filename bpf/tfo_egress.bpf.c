// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * tc egress, where the servers' answers leave through this node (a server's own, or an inline
 * balancer's): remembers the number of each SYN-ACK that answers a pending handshake. An ACK then
 * settles it only if it acknowledges that number, which nobody can who did not receive it: the
 * guard's exact form. If it leaves again, the handshake is pending again. Every packet goes on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "guard_synack.h"
#include "maps.h"
#include "plain.h"

#define TFO_TC_NEXT (-1) /* TC_ACT_UNSPEC of a clsact filter, TCX_NEXT of a tcx link */

tfo_inline __u32 tfo_frame_len(const struct tfo_frame *frame)
{
	return ((struct __sk_buff *)frame->context)->len;
}

SEC("tc")
int tfo_egress(struct __sk_buff *skb)
{
	struct tfo_frame frame = {
		.data = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.context = skb,
	};
	struct tfo_answer answer = {};
	struct tfo_packet p = {};
	struct tfo_flow out;
	const __u8 *tcp;

	/* One that came in where it leaves is no answer of a server behind this node. */
	if (skb->ingress_ifindex == skb->ifindex ||
	    tfo_parse_plain(&frame, &tfo_cfg, &p) != TFO_SYN_ACK)
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
