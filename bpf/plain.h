/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: the frames that nearly all are, told by a few compares: at most one tag, IPv4 without
 * options or IPv6 without extension headers, no fragment, all in one piece. The result is that of
 * tfo_parse (parse.h); any other frame answers TFO_NOT_PLAIN and takes the long way.
 */
#ifndef TFO_PLAIN_H
#define TFO_PLAIN_H

#include "parse.h"

#define TFO_NOT_PLAIN (-2)

/* The TCP part of a plain frame: `len` bytes of segment at `header`, of which 20 are readable. */
tfo_inline int tfo_parse_plain_tcp(const struct tfo_frame *frame, const __u8 *header, int len,
				   struct tfo_packet *p)
{
	int header_len = (header[12] >> 4) * 4;

	/* Not "header + len > end": verifiers up to 6.12 lose the range of a swapped number. */
	if (header_len < TFO_TCP_LEN || header_len > len || frame->end - header < len)
		return TFO_NOT_PLAIN;
	p->header_len = header_len;
	p->data = len > header_len;
	return tfo_judge_flags(header[13]);
}

/* Where the IP header of a plain frame is, and its ethertype in network order. */
tfo_inline __u32 tfo_plain_ip(const struct tfo_frame *frame, int l3_device, __u16 *ethertype)
{
	if (l3_device) {
		*ethertype = tfo_be16(tfo_version_ethertype(frame->data[0]));
		return 0;
	}
	*ethertype = tfo_load16(frame->data + 12);
	if (*ethertype != tfo_be16(TFO_ETH_8021Q))
		return TFO_ETH_LEN;
	*ethertype = tfo_load16(frame->data + 16);
	return TFO_ETH_LEN + TFO_VLAN_LEN;
}

tfo_inline int tfo_parse_plain(const struct tfo_frame *frame,
			       const volatile struct tfo_load_config *config, struct tfo_packet *p)
{
	__u16 ethertype;
	const __u8 *header;

	if (frame->data + 18 > frame->end)
		return TFO_NOT_PLAIN;
	p->ip = tfo_plain_ip(frame, config->l3_device, &ethertype);
	header = frame->data + p->ip;
	if (header + 40 > frame->end)
		return TFO_NOT_PLAIN;
	if (header[0] == 0x45 && ethertype == tfo_be16(TFO_ETH_IPV4)) {
		p->family = 4;
		p->tcp = p->ip + 20;
		p->ip_end = p->ip + tfo_be16(tfo_load16(header + 2));
		if (header[9] != TFO_IPPROTO_TCP)
			return config->decap ? TFO_NOT_PLAIN : TFO_NOT_TCP;
		if (tfo_load16(header + 6) & tfo_be16(0x3fff))
			return TFO_NOT_PLAIN;
		return tfo_parse_plain_tcp(frame, header + 20, p->ip_end - p->tcp, p);
	}
	if (header + 60 > frame->end || header[0] >> 4 != 6 || header[6] != TFO_IPPROTO_TCP ||
	    ethertype != tfo_be16(TFO_ETH_IPV6))
		return TFO_NOT_PLAIN;
	p->family = 6;
	p->tcp = p->ip + 40;
	p->ip_end = p->tcp + tfo_be16(tfo_load16(header + 4));
	return tfo_parse_plain_tcp(frame, header + 40, p->ip_end - p->tcp, p);
}

#endif /* TFO_PLAIN_H */
