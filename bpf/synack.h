/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell of the SYN-ACK monitor: did we see the SYN that it answers, and if not, what came,
 * whereto, and from how many. Only with tfo_cfg.monitor; nothing here changes a packet's fate.
 */
#ifndef TFO_SYNACK_H
#define TFO_SYNACK_H

#include "synack_tally.h"
#include "tcpopt.h"

/* In tfo_xdp.bpf.c: tfo_walk_options() of `len` bytes at `offset`. */
int tfo_walk(struct xdp_md *ctx, __u32 offset, __u32 len);

/* What a socket of this node says of a tuple: enum tfo_synack_says. */
__attribute__((noinline)) int tfo_ask_socket(struct xdp_md *ctx, __u32 ip, __u32 tcp, __u32 family)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	const __u8 *segment = tfo_at(&frame, tcp & TFO_HEADERS, TFO_TCP_LEN);
	struct bpf_sock_tuple tuple = {};
	struct tfo_flow flow = {};
	struct bpf_sock *socket;
	__u32 size, state = 0;

	family &= 0xff;
	if (!segment || !tfo_load_flow(&frame, family, ip & TFO_HEADERS, &flow))
		return TFO_SYNACK_UNSOLICITED;
	if (family == 4) {
		*(__u64 *)&tuple.ipv4.saddr = flow.word[0];
		*(__u32 *)&tuple.ipv4.sport = tfo_load32(segment);
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, flow.word, sizeof(flow.word));
		*(__u32 *)&tuple.ipv6.sport = tfo_load32(segment);
		size = sizeof(tuple.ipv6);
	}
	socket = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (socket) {
		state = socket->state;
		bpf_sk_release(socket);
	}
	return tfo_synack_referee(state);
}

static __always_inline int tfo_syn_remembered(const struct tfo_incoming *in)
{
	struct tfo_bloom_line *line = tfo_bloom_line_of(in->hash, TFO_BLOOM_MAIN);
	__u32 epoch = tfo_epoch(tfo_now()), cell;
	const struct tfo_heavy_source *heavy;

	if (line && tfo_bloom_has(line, in->hash, epoch))
		return 1;
	cell = tfo_source_cell(&in->destination);
	heavy = bpf_map_lookup_elem(&heavy_sources, &cell);
	if (!heavy || !tfo_is_heavy(heavy, epoch))
		return 0;
	line = tfo_bloom_line_of(in->hash, TFO_BLOOM_HEAVY);
	return line && tfo_bloom_has(line, in->hash, epoch);
}

static __always_inline void tfo_count_answer(struct tfo_monitor_counters *counters,
					     const struct tfo_incoming *in)
{
	const __u64 *isn = tfo_sent_of(in->hash);

	counters->answered++;
	if (isn && tfo_is_mismatch(*(const volatile __u64 *)isn, in->hash, in->ack))
		counters->mismatched++;
}

/* What became of a SYN-ACK to a watched destination; counted unless it is unsolicited. */
static __always_inline int tfo_synack_verdict(struct xdp_md *ctx, const struct tfo_incoming *in,
					      const struct tfo_target *target)
{
	struct tfo_monitor_counters *counters = tfo_subject_counters(target->subject);
	int remembered = target->kind == TFO_TARGET_TRACKED && tfo_syn_remembered(in);
	int says =
		tfo_synack_judge(target->kind, remembered, tfo_cfg.monitor & TFO_MONITOR_SOCKETS);
	struct tfo_monitor_cpu *cpu = tfo_this_cpu();

	if (!counters || !cpu)
		return TFO_SYNACK_ANSWER;
	if (says == TFO_SYNACK_ASK && !tfo_may_ask(cpu, tfo_now())) {
		if (!(in->flags & TFO_SAMPLE_RESET))
			counters->unasked++;
		return TFO_SYNACK_UNSOLICITED;
	}
	if (says == TFO_SYNACK_ASK)
		says = tfo_ask_socket(ctx, in->ip, in->tcp, in->family);
	if (in->flags & TFO_SAMPLE_RESET)
		return says;
	if (says == TFO_SYNACK_ANSWER)
		tfo_count_answer(counters, in);
	else if (says == TFO_SYNACK_KNOWN)
		counters->known++;
	else if (says == TFO_SYNACK_BLIND)
		counters->blind++;
	return says;
}

/* Data that follows an unsolicited SYN-ACK of late. */
static __always_inline void tfo_followed(const struct tfo_incoming *in)
{
	__u32 index = in->hash & (TFO_RECENT - 1);
	__u64 *at = bpf_map_lookup_elem(&recent, &index);
	struct tfo_monitor_counters *counters;
	__u64 name;

	if (!at)
		return;
	name = *(volatile __u64 *)at;
	if (!name || (name ^ in->hash) >> 16)
		return;
	counters = tfo_subject_counters(name & (TFO_RECENT - 1));
	if (!counters)
		return;
	counters->after.packets++;
	counters->after.bytes += in->payload;
}

/* What a SYN-ACK or RST is like; TFO_SAMPLE_*. */
static __always_inline __u8 tfo_incoming_flags(struct xdp_md *ctx, const struct tfo_incoming *in,
					       __u8 flags, __u32 header_len)
{
	__u32 found;

	if (flags & TFO_TCP_RST)
		return TFO_SAMPLE_RESET;
	found = header_len > TFO_TCP_LEN
			? (__u32)tfo_walk(ctx, in->tcp + TFO_TCP_LEN, header_len - TFO_TCP_LEN)
			: 0;
	return (tfo_found_seen(found) ? TFO_SAMPLE_OPTION : 0) |
	       (in->payload ? TFO_SAMPLE_PAYLOAD : 0);
}

/*
 * Fills in what the addresses and numbers of a segment are; *in knows where it stands. Its TCP
 * flags | its header's length << 8, or 0. Global: its stack is not below that of the socket's
 * look-up.
 */
__attribute__((noinline)) int tfo_incoming_of(struct xdp_md *ctx, struct tfo_incoming *in,
					      __u32 ip_end)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	const __u8 *tcp = tfo_at(&frame, in ? in->tcp & TFO_HEADERS : 0, TFO_TCP_LEN);
	struct tfo_vip_key source;
	struct tfo_flow syn = {}; /* 6.1 does not see that what is read of it was written */
	__u8 header_len;

	if (!in || !tcp || !tfo_load_answered(&frame, in->family, in->ip & TFO_HEADERS, &syn))
		return 0;
	header_len = (tcp[12] >> 4) * 4;
	in->hash = tfo_tuple_hash(&syn, tfo_reverse_ports(tfo_load32(tcp)), tfo_ctl.hash_seed);
	in->ack = tfo_be32(tfo_load32(tcp + 8));
	in->length = ip_end - in->ip;
	in->payload = ip_end - in->tcp - header_len;
	tfo_source_key_of(&in->destination, &syn);
	tfo_vip_key_of(&source, &syn, 0);
	in->source_hash = tfo_vip_hash(&source, tfo_ctl.hash_seed);
	return tcp[13] | header_len << 8;
}

/* Where the declared prefix that it lies in counts the address, or TFO_NO_CELL. */
static __always_inline __u32 tfo_place_of(const struct tfo_target *target,
					  const struct tfo_vip_key *key, __u32 family)
{
	if (target->around == TFO_NO_SUBJECT)
		return TFO_NO_CELL;
	return family == 4 ? tfo_cell_of(target, key, family)
			   : tfo_subnet_of(target, key, tfo_ctl.hash_seed);
}

/*
 * A segment that tfo_monitor_wants(). `where`: offset of IP, that of TCP << 16; `ip_end`: see
 * struct tfo_packet.
 */
__attribute__((noinline)) int tfo_monitor_in(struct xdp_md *ctx, __u32 where, __u32 family,
					     __u32 ip_end)
{
	struct tfo_incoming in = {.ip = where & TFO_HEADERS, .tcp = where >> 16 & TFO_HEADERS};
	struct tfo_target *target;
	int found;

	in.family = family;
	found = tfo_incoming_of(ctx, &in, ip_end);
	if (!found)
		return 0;
	if (!(found & (TFO_TCP_SYN | TFO_TCP_RST))) {
		tfo_followed(&in);
		return 0;
	}
	target = tfo_target_of(&in.destination);
	if (!target)
		return 0;
	in.subject = target->subject;
	in.flags = found & TFO_TCP_RST ? TFO_SAMPLE_RESET : 0;
	if (tfo_synack_verdict(ctx, &in, target) != TFO_SYNACK_UNSOLICITED)
		return 1;
	in.flags = tfo_incoming_flags(ctx, &in, found, found >> 8);
	in.cell = tfo_place_of(target, &in.destination, family);
	return tfo_unsolicited(ctx, &in, target->around);
}

/* Data to who may be attacked? Others pay for a look at one byte. */
static __always_inline int tfo_is_alarmed(const struct tfo_frame *frame, const struct tfo_packet *p)
{
	__u64 alarm = *(volatile __u64 *)&tfo_ctl.monitor_alarm;
	const __u8 *ip;

	if (!p->data || !alarm)
		return 0;
	ip = tfo_at(frame, p->ip & TFO_HEADERS, 40); /* of IPv4, 20 are TCP's */
	return ip && alarm & tfo_alarm_bit(p->family == 4 ? ip[19] : ip[39]);
}

/*
 * A segment that is no SYN: is it the monitor's? A SYN-ACK, a RST of a closed port, and in an alarm
 * data.
 */
static __always_inline int tfo_monitor_wants(const struct tfo_frame *frame,
					     const struct tfo_packet *p, int reason)
{
	const __u8 *tcp;

	if (reason == TFO_SYN_ACK)
		return 1;
	if (reason != TFO_OTHER)
		return 0;
	tcp = tfo_at(frame, p->tcp & TFO_HEADERS, TFO_TCP_LEN);
	if (!tcp)
		return 0;
	if (tcp[13] & TFO_TCP_RST)
		return tfo_is_closed_port(tcp[13], tfo_load32(tcp + 4));
	return !(tcp[13] & TFO_TCP_SYN) && tfo_is_alarmed(frame, p);
}

/* A SYN that comes in on an inside interface is on its way out. */
__attribute__((noinline)) int tfo_syn_through(struct xdp_md *ctx, __u32 where, __u32 family)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	const __u8 *tcp = tfo_at(&frame, where >> 16 & TFO_HEADERS, TFO_TCP_LEN);
	struct tfo_flow flow = {};

	if (tcp && tfo_load_flow(&frame, family, where & TFO_HEADERS, &flow))
		tfo_syn_left(&flow, tcp);
	return 0;
}

/* A parsed packet that is no SYN. */
static __always_inline void tfo_monitor(struct xdp_md *ctx, const struct tfo_frame *frame,
					const struct tfo_packet *p, int reason)
{
	if (tfo_monitor_wants(frame, p, reason))
		tfo_monitor_in(ctx, p->ip | p->tcp << 16, p->family, p->ip_end);
}

/* The same of frames that are not plain, and their SYNs on an inside interface. */
__attribute__((noinline)) int tfo_monitor_other(struct xdp_md *ctx, const struct tfo_packet *p,
						int reason)
{
	struct tfo_frame frame = tfo_frame_of(ctx);

	if (!p)
		return 0;
	tfo_monitor(ctx, &frame, p, reason);
	if (reason == TFO_GO_ON && tfo_cfg.monitor & TFO_MONITOR_INSIDE)
		tfo_syn_through(ctx, p->ip | p->tcp << 16, p->family);
	return 0;
}

#endif /* TFO_SYNACK_H */
