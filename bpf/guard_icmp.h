/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: an ICMP or ICMPv6 destination unreachable that quotes a SYN-ACK (RFC 792, RFC 4443
 * section 3.1). It is counted, and settles nothing: a server whose application has taken the child
 * goes on as if nothing had come (tcp_v4_err), and anybody can send one.
 */
#ifndef TFO_GUARD_ICMP_H
#define TFO_GUARD_ICMP_H

#include "guard_answer.h"
#include "plain.h"

#define TFO_IPPROTO_ICMP 1
#define TFO_IPPROTO_ICMPV6 58
#define TFO_ICMP_UNREACHABLE 3
#define TFO_ICMP_TOO_BIG 4 /* a code of it: says nothing about the host */
#define TFO_ICMPV6_UNREACHABLE 1
#define TFO_ICMP_LEN 8

/* Offset of the quoted packet, or 0: this is no such error. `ip`: offset of the IP header. */
tfo_inline __u32 tfo_icmp_quoted(const struct tfo_frame *frame, __u32 ip, __u16 ethertype,
				 __u8 *family)
{
	const __u8 *header = tfo_at(frame, ip, 40), *icmp;
	__u32 offset;

	if (!header)
		return 0;
	*family = ethertype == tfo_be16(TFO_ETH_IPV6) ? 6 : 4;
	if (*family == 6) {
		if (header[6] != TFO_IPPROTO_ICMPV6)
			return 0;
		offset = ip + 40;
	} else {
		if (ethertype != tfo_be16(TFO_ETH_IPV4) || header[9] != TFO_IPPROTO_ICMP)
			return 0;
		offset = ip + (header[0] & 15) * 4;
	}
	icmp = tfo_at(frame, offset & TFO_HEADERS, TFO_ICMP_LEN);
	if (!icmp)
		return 0;
	if (*family == 6 ? icmp[0] != TFO_ICMPV6_UNREACHABLE
			 : icmp[0] != TFO_ICMP_UNREACHABLE || icmp[1] == TFO_ICMP_TOO_BIG)
		return 0;
	return offset + TFO_ICMP_LEN;
}

/* The first 8 bytes of the quoted segment, which an error always has, or NULL. */
tfo_inline const __u8 *tfo_icmp_segment(const struct tfo_frame *frame, __u32 quoted, __u8 family)
{
	const __u8 *header = tfo_at(frame, quoted & TFO_HEADERS, 20);
	__u32 len = 40;

	if (!header || (family == 6 ? header[6] : header[9]) != TFO_IPPROTO_TCP)
		return 0;
	if (family == 4)
		len = (header[0] & 15) * 4;
	return tfo_at(frame, (quoted + len) & TFO_HEADERS, 8);
}

/* A frame that is no TCP. In a global function: UDP pays one call for it, TCP nothing. */
__attribute__((noinline)) int tfo_guard_icmp(struct xdp_md *ctx)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_answer answer = {};
	struct tfo_flow flow = {};
	const __u8 *segment;
	__u32 ip, quoted;
	__u16 ethertype;
	__u8 family;

	if (frame.data + 18 > frame.end)
		return 0;
	ip = tfo_plain_ip(&frame, tfo_cfg.l3_device, &ethertype);
	quoted = tfo_icmp_quoted(&frame, ip, ethertype, &family);
	segment = quoted ? tfo_icmp_segment(&frame, quoted, family) : 0;
	if (!segment || !tfo_load_flow(&frame, family, quoted & TFO_HEADERS, &flow))
		return 0;
	tfo_reverse_flow(&answer.flow, &flow);
	answer.hash = tfo_tuple_hash(&answer.flow, tfo_reverse_ports(tfo_load32(segment)),
				     tfo_ctl.hash_seed);
	answer.seq = tfo_be32(tfo_load32(segment + 4));
	answer.ack = 0;
	answer.flags = TFO_ANSWER_ICMP;
	if (tfo_handshake_hint(answer.hash))
		tfo_settle(&answer);
	return 1;
}

#endif /* TFO_GUARD_ICMP_H */
