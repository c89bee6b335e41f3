// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Measuring programs of `tfoctl bench`, never attached to an interface. The cold ones put the next
 * prepared packet over the frame of the run and tail-call either the empty program or the very
 * program that runs on the wire; the difference between the two is what a packet costs when its
 * addresses were not seen a moment ago. Those of tc are the same for the egress program.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "tfo_bench.h"

/*
 * bench_packets[i & bench_mask]: the packets of the running row, all of the same length. Mapped
 * and written by user space; max_entries is set before the load, a power of two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_bench_packet);
} bench_packets SEC(".maps");

/* TFO_BENCH_EMPTY and TFO_BENCH_TFO: where the cold programs go. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TFO_BENCH_TARGETS);
	__type(key, __u32);
	__type(value, __u32);
} bench_targets SEC(".maps");

/* The same of the programs at tc egress: a program array takes one kind only. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TFO_BENCH_TARGETS);
	__type(key, __u32);
	__type(value, __u32);
} bench_tc_targets SEC(".maps");

__u32 bench_mask; /* of the packets that take turns: their number - 1; 0: always the first */
__u32 bench_next; /* index of the next packet; user space sets it to 0 before each run */

/*
 * Offset of the TCP sequence number, where each run of a packet needs one of its own (below 64), or
 * 0. The checksum is not corrected: no measured program looks at it.
 */
__u32 bench_sequence_at;
__u32 bench_sequence; /* the next one */

/* The whole packet in 8-byte words, then what is left of it in 2-byte ones: lengths are even. */
static __always_inline int put_packet(void *data, void *end)
{
	__u32 index = bench_next++ & bench_mask;
	struct tfo_bench_packet *packet = bpf_map_lookup_elem(&bench_packets, &index);
	__u64 *words = data;
	int word;

	if (!packet || data + TFO_BENCH_MIN_LEN > end)
		return -1;
#pragma unroll
	for (word = 0; word < TFO_BENCH_MIN_LEN / 8; word++)
		words[word] = packet->words[word];
#pragma unroll
	for (word = TFO_BENCH_MIN_LEN / 8; word < TFO_BENCH_MAX_LEN / 8; word++) {
		if ((void *)(words + word + 1) > end)
			break;
		words[word] = packet->words[word];
	}

	__u16 *halves = (void *)(words + word);
#pragma unroll
	for (int half = 0; half < 3; half++) {
		if (word == TFO_BENCH_MAX_LEN / 8 || (void *)(halves + half + 1) > end)
			break;
		halves[half] = packet->halves[word * 4 + half];
	}
	if (bench_sequence_at) {
		__u32 *sequence = data + (bench_sequence_at & (TFO_BENCH_MIN_LEN - 1));

		if ((void *)(sequence + 1) <= end)
			*sequence = bench_sequence++;
	}
	return 0;
}

SEC("xdp.frags")
int bench_empty(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

SEC("xdp.frags")
int bench_cold_empty(struct xdp_md *ctx)
{
	if (!put_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		bpf_tail_call(ctx, &bench_targets, TFO_BENCH_EMPTY);
	return XDP_ABORTED; /* a tail call that did not happen must not look fast */
}

SEC("xdp.frags")
int bench_cold_tfo(struct xdp_md *ctx)
{
	if (!put_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		bpf_tail_call(ctx, &bench_targets, TFO_BENCH_TFO);
	return XDP_ABORTED;
}

SEC("tc")
int bench_tc_empty(struct __sk_buff *skb __attribute__((unused)))
{
	return TFO_BENCH_TC_NEXT;
}

SEC("tc")
int bench_tc_cold_empty(struct __sk_buff *skb)
{
	if (!put_packet((void *)(long)skb->data, (void *)(long)skb->data_end))
		bpf_tail_call(skb, &bench_tc_targets, TFO_BENCH_EMPTY);
	return 0;
}

SEC("tc")
int bench_tc_cold_tfo(struct __sk_buff *skb)
{
	if (!put_packet((void *)(long)skb->data, (void *)(long)skb->data_end))
		bpf_tail_call(skb, &bench_tc_targets, TFO_BENCH_TFO);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
