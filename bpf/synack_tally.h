/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Kernel shell: all that is counted of a SYN-ACK that answers nothing, and the samples. */
#ifndef TFO_SYNACK_TALLY_H
#define TFO_SYNACK_TALLY_H

#include "frame.h"
#include "hll.h"
#include "sampler.h"
#include "syn_out.h"

/* A segment for the monitor; in memory, since global functions are given it. */
struct tfo_incoming {
	__u64 hash; /* tfo_tuple_hash() of the SYN that it would answer */
	__u64 source_hash; /* tfo_vip_hash() of its source */
	struct tfo_vip_key destination;
	__u32 ack; /* host order */
	__u32 ip; /* offsets of the headers */
	__u32 tcp;
	__u16 length; /* of IP */
	__u16 payload; /* bytes */
	__u8 family;
	__u8 flags; /* TFO_SAMPLE_* */
	__u16 subject; /* of which the sample is */
	__u32 cell; /* tfo_cell_of(), of IPv6 tfo_subnet_of() */
};

/* Counts one that nobody asked for. `subject` may be TFO_NO_SUBJECT. */
static __always_inline void tfo_tally_subject(__u32 subject, const struct tfo_incoming *in)
{
	struct tfo_monitor_counters *counters;
	struct tfo_tally *tally;
	struct tfo_hll *hll;

	if (subject == TFO_NO_SUBJECT)
		return;
	hll = bpf_map_lookup_elem(&reflectors, &subject);
	if (hll)
		tfo_hll_add(hll, in->source_hash, tfo_epoch(tfo_now()));
	counters = tfo_subject_counters(subject);
	if (!counters)
		return;
	if (in->flags & TFO_SAMPLE_RESET) {
		counters->resets++;
		return;
	}
	tally = &counters->unsolicited[!!(in->flags & TFO_SAMPLE_OPTION)]
				      [!!(in->flags & TFO_SAMPLE_PAYLOAD)];
	tally->packets++;
	tally->bytes += in->length;
	counters->payload += in->payload;
	if (in->flags & TFO_SAMPLE_REPEAT)
		counters->repeats++;
}

/* The /64 within its declared prefix: of all CPUs, a copy for each would be too much. */
static __always_inline int tfo_tally_subnet(const struct tfo_incoming *in)
{
	__u32 index = in->cell;
	struct tfo_tally *tally = bpf_map_lookup_elem(&subnets, &index);

	if (!tally)
		return 0;
	__sync_fetch_and_add(&tally->packets, 1);
	__sync_fetch_and_add(&tally->bytes, in->length);
	return 1;
}

/* The address within its declared prefix. Global: the verifier looks at it once. */
__attribute__((noinline)) int tfo_tally_cell(const struct tfo_incoming *in)
{
	__u32 index = in ? in->cell : TFO_NO_CELL, net = index >> 8;
	struct tfo_tally *tally;
	struct tfo_hit_map *map;
	__u32 *cell;

	if (!in)
		return 0;
	if (in->family != 4)
		return tfo_tally_subnet(in);
	cell = bpf_map_lookup_elem(&cells, &index);
	if (!cell)
		return 0;
	__sync_fetch_and_add(cell, 1);
	tally = bpf_map_lookup_elem(&net_stats, &net);
	map = bpf_map_lookup_elem(&hit_maps, &net);
	if (!tally || !map)
		return 0;
	tally->packets++;
	tally->bytes += in->length;
	tfo_hit(map, index, tfo_window(tfo_now()));
	return 1;
}

/* The sample's addresses and ports; its headers are copied by the caller. */
static __always_inline void tfo_sample_tuple(struct tfo_sample *sample, const __u8 *ip,
					     const __u8 *tcp, __u8 family)
{
	__u64 *source = (__u64 *)sample->source, *destination = (__u64 *)sample->destination;

	if (family == 4) {
		source[0] = destination[0] = 0;
		((__u32 *)source)[2] = ((__u32 *)destination)[2] = TFO_MAPPED;
		((__u32 *)source)[3] = tfo_load32(ip + 12);
		((__u32 *)destination)[3] = tfo_load32(ip + 16);
		sample->ttl = ip[8];
	} else {
		source[0] = tfo_load64(ip + 8);
		source[1] = tfo_load64(ip + 16);
		destination[0] = tfo_load64(ip + 24);
		destination[1] = tfo_load64(ip + 32);
		sample->ttl = ip[7];
	}
	sample->source_port = tfo_load16(tcp);
	sample->destination_port = tfo_load16(tcp + 2);
	sample->sequence = tfo_be32(tfo_load32(tcp + 4));
	sample->ack = tfo_be32(tfo_load32(tcp + 8));
}

/* Writes the sample; 0 if its headers do not lie in one piece. */
static __always_inline int tfo_sample_fill(struct tfo_sample *sample, struct xdp_md *ctx,
					   const struct tfo_incoming *in, __u32 weight)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	const __u8 *tcp = tfo_at(&frame, in->tcp & TFO_HEADERS, TFO_TCP_LEN);
	const __u8 *ip = tfo_at(&frame, in->ip & TFO_HEADERS, 40); /* of IPv4, 20 are TCP's */
	__u64 length;

	if (!tcp || !ip)
		return 0;
	*sample = (struct tfo_sample){.time_ns = tfo_now(), .weight = weight};
	tfo_sample_tuple(sample, ip, tcp, in->family);
	sample->subject = in->subject;
	sample->length = in->length;
	sample->flags = in->flags;
	length = in->tcp - in->ip;
	sample->tcp = length < 255 ? length : 255;
	length += (tcp[12] >> 4) * 4;
	if (length > TFO_SAMPLE_HEADERS)
		length = TFO_SAMPLE_HEADERS;
	/* Never 0 anyway; bounds by comparison are lost on 6.1, whatever register is compared. */
	asm volatile("" : "+r"(length));
	length = ((length - 1) & (TFO_SAMPLE_HEADERS - 1)) + 1;
	if (!bpf_xdp_load_bytes(ctx, in->ip & TFO_HEADERS, sample->headers, length))
		sample->header_length = length;
	return 1;
}

__attribute__((noinline)) int tfo_sample_put(struct xdp_md *ctx, const struct tfo_incoming *in,
					     __u32 weight)
{
	struct tfo_monitor_counters *counters = tfo_subject_counters(in ? in->subject : 0);
	struct tfo_sample *sample;

	if (!in || !counters)
		return 0;
	sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
	if (!sample) {
		counters->samples_lost++;
		return 0;
	}
	if (!tfo_sample_fill(sample, ctx, in, weight)) {
		bpf_ringbuf_discard(sample, 0);
		return 0;
	}
	bpf_ringbuf_submit(sample, 0);
	counters->samples++;
	return 1;
}

/* Did this tuple come a moment ago? From now on it did. */
static __always_inline int tfo_is_repeat(const struct tfo_incoming *in)
{
	__u32 index = in->hash & (TFO_RECENT - 1);
	__u64 *at = bpf_map_lookup_elem(&recent, &index);
	__u64 name = (in->hash & ~(__u64)(TFO_RECENT - 1)) | in->subject;

	if (!at)
		return 0;
	if (*(volatile __u64 *)at == name)
		return 1;
	*(volatile __u64 *)at = name;
	return 0;
}

/* A SYN-ACK or RST that answers nothing: all that is counted of it. */
__attribute__((noinline)) int tfo_unsolicited(struct xdp_md *ctx, struct tfo_incoming *in,
					      __u32 around)
{
	struct tfo_monitor_cpu *cpu = tfo_this_cpu();
	__u32 weight;

	if (!in || !cpu)
		return 0;
	if (!(in->flags & TFO_SAMPLE_RESET) && tfo_is_repeat(in))
		in->flags |= TFO_SAMPLE_REPEAT;
	tfo_tally_subject(in->subject, in);
	if (around != in->subject)
		tfo_tally_subject(around, in);
	if (in->cell != TFO_NO_CELL)
		tfo_tally_cell(in);
	weight = tfo_sample_weight(cpu, tfo_now(), tfo_ctl.sample_budget, bpf_get_prandom_u32());
	return weight ? tfo_sample_put(ctx, in, weight) : 0;
}

#endif /* TFO_SYNACK_TALLY_H */
