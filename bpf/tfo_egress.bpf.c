// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * tc egress, where the servers' answers leave through this node (a server's own, or an inline
 * balancer's): remembers the number of each SYN-ACK that answers a pending handshake. An ACK then
 * settles it only if it acknowledges that number, which nobody can who did not receive it: the
 * guard's exact form. Every packet goes on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "handshake.h"
#include "maps.h"
#include "plain.h"

#define TFO_TC_NEXT (-1) /* TC_ACT_UNSPEC of a clsact filter, TCX_NEXT of a tcx link */

tfo_inline __u32 tfo_frame_len(const struct tfo_frame *frame)
{
	return ((struct __sk_buff *)frame->context)->len;
}

/* The SYN-ACK answers this handshake: it acknowledges the SYN, with its data or without. */
static __always_inline void tfo_note_answer(struct tfo_handshake *one, __u32 seq, __u32 ack)
{
	__u64 word = *(volatile __u64 *)&one->word, after = word | TFO_HANDSHAKE_ANSWERED;
	__u32 past = ack - (one->isn + 1), slot = one->slot;
	struct tfo_guard_counters *counters;

	if (past && past != tfo_handshake_len(word) && !(word & TFO_HANDSHAKE_PART))
		return;
	if (past || !(word & TFO_HANDSHAKE_DATA))
		after &= ~(__u64)TFO_HANDSHAKE_REFUSED;
	else
		after |= TFO_HANDSHAKE_REFUSED;
	*(volatile __u32 *)&one->server_isn = seq;
	__sync_val_compare_and_swap(&one->word, word, after);
	counters = bpf_map_lookup_elem(&guard_stats, &slot);
	if (counters)
		counters->answers++;
}

SEC("tc")
int tfo_egress(struct __sk_buff *skb)
{
	struct tfo_frame frame = {
		.data = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.context = skb,
	};
	struct tfo_handshake_set *set;
	struct tfo_handshake *one;
	struct tfo_packet p = {};
	struct tfo_flow out, flow;
	const __u8 *tcp;
	__u64 hash;

	if (tfo_parse_plain(&frame, &tfo_cfg, &p) != TFO_SYN_ACK)
		return TFO_TC_NEXT;
	tcp = tfo_at(&frame, p.tcp & TFO_HEADERS, TFO_TCP_LEN);
	if (!tcp || !tfo_load_flow(&frame, p.family, p.ip & TFO_HEADERS, &out))
		return TFO_TC_NEXT;
	tfo_reverse_flow(&flow, &out);
	hash = tfo_tuple_hash(&flow, tfo_reverse_ports(tfo_load32(tcp)), tfo_ctl.hash_seed);
	set = tfo_handshake_hint(hash) ? tfo_handshakes_of(hash) : 0;
	one = set ? tfo_handshake_find(set, hash) : 0;
	if (one && tfo_is_awaited(one, tfo_tick(tfo_now())))
		tfo_note_answer(one, tfo_be32(tfo_load32(tcp + 4)), tfo_be32(tfo_load32(tcp + 8)));
	return TFO_TC_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
