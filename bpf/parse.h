/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: from the first byte of a frame to its TCP header.
 *
 * Ethernet with up to two tags (802.1Q, 802.1ad) or none at all (tun) -> IPv4 with options or
 * IPv6 with extension headers -> where the interface asks for it one level of encapsulation ->
 * TCP. The packet ends where the IP length says (ip_rcv_core, ip6_rcv_core trim the rest), so
 * neither options nor data are ever read from Ethernet padding.
 */
#ifndef TFO_PARSE_H
#define TFO_PARSE_H

#include "extension.h"

tfo_inline int tfo_is_vlan(__u16 ethertype)
{
	return ethertype == TFO_ETH_8021Q || ethertype == TFO_ETH_8021AD;
}

/* The ethertype that an IP version stands for, 0 if there is none. */
tfo_inline __u16 tfo_version_ethertype(__u8 first_byte)
{
	if (first_byte >> 4 == 4)
		return TFO_ETH_IPV4;
	return first_byte >> 4 == 6 ? TFO_ETH_IPV6 : 0;
}

tfo_inline int tfo_parse_link(const struct tfo_frame *frame, int l3_device, struct tfo_layer *layer)
{
	const __u8 *header = tfo_at(frame, 0, l3_device ? 1 : TFO_ETH_LEN);
	__u32 offset = TFO_ETH_LEN;
	int tags;

	if (!header)
		return TFO_NOT_TCP;
	if (l3_device) {
		layer->offset = 0;
		layer->next = tfo_version_ethertype(header[0]);
		return TFO_GO_ON;
	}
	layer->next = tfo_be16(tfo_load16(header + 12));
	for (tags = 0; tags < 2 && tfo_is_vlan(layer->next); tags++) {
		header = tfo_at(frame, offset, TFO_VLAN_LEN);
		if (!header)
			return tfo_too_short(frame, offset + TFO_VLAN_LEN);
		layer->next = tfo_be16(tfo_load16(header + 2));
		offset += TFO_VLAN_LEN;
	}
	layer->offset = offset;
	return TFO_GO_ON;
}

/*
 * Where the packet ends: within the frame (ip_rcv_core, ip6_rcv_core), and within its carrier
 * unless that goes on in other fragments. Only the whole frame's length tells a jumbo from a lie.
 */
tfo_inline int tfo_set_end(const struct tfo_frame *frame, struct tfo_packet *p,
			   struct tfo_layer *layer, __u32 end)
{
	if (end > layer->limit) {
		if (!p->first_fragment)
			return TFO_NOT_TCP;
		end = layer->limit;
	} else {
		p->first_fragment = 0; /* it is whole, whatever its carrier lacks */
	}
	if (end > frame->end - frame->data && end > tfo_frame_len(frame))
		return TFO_NOT_TCP;
	p->ip_end = end;
	return TFO_GO_ON;
}

/* RFC 791 section 3.1; ip_rcv_core() drops what is refused here. */
tfo_inline int tfo_parse_ipv4(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
			      struct tfo_layer *layer)
{
	const __u8 *header = tfo_at(frame, layer->offset, 20);
	__u32 header_len, total, fragment;

	if (!header)
		return tfo_too_short(frame, layer->offset + 20);
	header_len = (header[0] & 15) * 4;
	total = tfo_be16(tfo_load16(header + 2));
	if (header[0] >> 4 != 4 || header_len < 20 || total < header_len)
		return TFO_NOT_TCP;
	if (tfo_set_end(frame, p, layer, layer->offset + total) >= 0)
		return TFO_NOT_TCP;
	layer->next = header[9];
	fragment = tfo_be16(tfo_load16(header + 6));
	if (fragment & 0x3fff) {
		if (fragment & 0x1fff)
			return layer->next == TFO_IPPROTO_TCP ||
					       tfo_is_decapsulated(decap, layer->next)
				       ? TFO_FRAGMENT
				       : TFO_NOT_TCP;
		p->first_fragment = 1;
	}
	p->ip = layer->offset;
	p->family = 4;
	layer->offset += header_len;
	return TFO_GO_ON;
}

/* RFC 8200 section 3. Jumbograms (payload length 0) are no SYNs. */
tfo_inline int tfo_parse_ipv6(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
			      struct tfo_layer *layer)
{
	const __u8 *header = tfo_at(frame, layer->offset, 40);
	__u32 payload;
	int reason;

	if (!header)
		return tfo_too_short(frame, layer->offset + 40);
	payload = tfo_be16(tfo_load16(header + 4));
	if (header[0] >> 4 != 6 || !payload)
		return TFO_NOT_TCP;
	if (tfo_set_end(frame, p, layer, layer->offset + 40 + payload) >= 0)
		return TFO_NOT_TCP;
	p->ip = layer->offset;
	p->family = 6;
	layer->next = header[6];
	layer->offset += 40;
	layer->fragmented = 0;
	reason = tfo_parse_round(frame, decap, p, layer, 1);
	return reason == TFO_ANOTHER_ROUND ? tfo_parse_rounds(frame, decap, p, layer) : reason;
}

tfo_inline int tfo_parse_ip(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
			    struct tfo_layer *layer)
{
	if (layer->next == TFO_ETH_IPV4)
		return tfo_parse_ipv4(frame, decap, p, layer);
	if (layer->next == TFO_ETH_IPV6)
		return tfo_parse_ipv6(frame, decap, p, layer);
	return TFO_NOT_TCP;
}

/* Generic UDP Encapsulation, variant 0 (header, then the packet) or 1 (the bare packet). */
tfo_inline int tfo_parse_gue(const struct tfo_frame *frame, __be16 port, struct tfo_packet *p,
			     struct tfo_layer *layer)
{
	const __u8 *header = tfo_at(frame, layer->offset, 12);

	if (layer->offset + 12 > p->ip_end)
		return TFO_NOT_TCP;
	if (!header)
		return tfo_too_short(frame, layer->offset + 12);
	if (tfo_load16(header + 2) != port)
		return TFO_NOT_TCP;
	layer->offset += 8;
	if (header[8] >> 6 == 1) {
		layer->next = tfo_version_ethertype(header[8]);
		return TFO_GO_ON;
	}
	if (header[8] >> 5) /* another variant, or a control message */
		return TFO_NOT_TCP;
	layer->offset += 4 + (header[8] & 31) * 4;
	layer->next = header[9];
	return TFO_GO_ON;
}

/*
 * What a whole TCP header is; a SYN goes on. PSH, URG, ECE and CWR change nothing
 * (tcp_rcv_state_process).
 */
tfo_inline int tfo_judge_flags(__u8 flags)
{
	flags &= TFO_TCP_FIN | TFO_TCP_SYN | TFO_TCP_RST | TFO_TCP_ACK;
	if (flags == TFO_TCP_SYN)
		return TFO_GO_ON;
	return flags == (TFO_TCP_SYN | TFO_TCP_ACK) ? TFO_SYN_ACK : TFO_OTHER;
}

/*
 * May this be a SYN, whose TCP header is not whole (TFO_TRUNCATED)? Its ports are there. A first
 * fragment that ends before the flags may be anything: it is made so to be told by nobody (RFC 1858
 * section 3).
 */
tfo_inline int tfo_may_be_syn(const struct tfo_frame *frame, const struct tfo_packet *p)
{
	const __u8 *tcp = tfo_at(frame, p->tcp & TFO_HEADERS, TFO_TCP_MIN);

	if (p->ip_end - p->tcp < TFO_TCP_MIN)
		return 1;
	return tcp && tfo_judge_flags(tcp[13]) == TFO_GO_ON;
}

/* The first fragment of a larger segment always has data to come. */
tfo_inline int tfo_parse_tcp(const struct tfo_frame *frame, struct tfo_packet *p, __u32 offset)
{
	__u32 len = p->ip_end - offset;
	const __u8 *header;

	if (offset > p->ip_end || len < (p->first_fragment ? TFO_FRAGMENT_MIN : TFO_TCP_MIN))
		return TFO_NOT_TCP;
	p->tcp = offset;
	if (len < TFO_TCP_LEN)
		return TFO_TRUNCATED;
	header = tfo_at(frame, offset, TFO_TCP_LEN);
	if (!header)
		return tfo_too_short(frame, offset + TFO_TCP_LEN);
	p->header_len = (header[12] >> 4) * 4;
	p->data = len > p->header_len || p->first_fragment;
	if (p->header_len > len)
		return TFO_TRUNCATED;
	if (p->header_len < TFO_TCP_LEN)
		return TFO_OTHER;
	if (!tfo_at(frame, offset, p->header_len))
		return tfo_too_short(frame, offset + p->header_len);
	return tfo_judge_flags(header[13]);
}

/* The IP packet at `layer` and the TCP header in it; nothing is encapsulated there. */
tfo_inline int tfo_parse_inner_ip(const struct tfo_frame *frame, struct tfo_packet *p,
				  struct tfo_layer *layer)
{
	int reason = tfo_parse_ip(frame, 0, p, layer);

	if (reason >= 0)
		return reason;
	return layer->next == TFO_IPPROTO_TCP ? tfo_parse_tcp(frame, p, layer->offset)
					      : TFO_NOT_TCP;
}

#ifdef __bpf__
/*
 * tfo_parse_inner_ip() of what the outer packet carries up to p->ip_end. In tfo_xdp.bpf.c, as a
 * global function: inline, the verifier would walk it once for every way through the outer headers.
 */
int tfo_parse_inner(struct xdp_md *ctx, struct tfo_packet *p, __u32 offset, __u32 next);
#else
tfo_inline int tfo_parse_inner(const struct tfo_frame *frame, struct tfo_packet *p, __u32 offset,
			       __u32 next)
{
	struct tfo_layer layer = {
		.offset = offset, .limit = p->ip_end, .next = (__u16)next, .fragmented = 0};

	return tfo_parse_inner_ip(frame, p, &layer);
}
#endif

/* One level of encapsulation that the interface looks into, and what is inside. */
tfo_inline int tfo_decapsulate(const struct tfo_frame *frame,
			       const volatile struct tfo_load_config *config, struct tfo_packet *p,
			       struct tfo_layer *layer)
{
	int reason;

	if (layer->next == TFO_IPPROTO_UDP) {
		reason = tfo_parse_gue(frame, config->gue_port, p, layer);
		if (reason >= 0)
			return reason;
	}
	if (layer->next == TFO_IPPROTO_IPIP)
		layer->next = TFO_ETH_IPV4;
	else if (layer->next == TFO_IPPROTO_IPV6)
		layer->next = TFO_ETH_IPV6;
	if (layer->offset + 20 > p->ip_end)
		return TFO_NOT_TCP;
#ifdef __bpf__
	return tfo_parse_inner(frame->context, p, layer->offset, layer->next);
#else
	return tfo_parse_inner(frame, p, layer->offset, layer->next);
#endif
}

/*
 * The whole way. Returns TFO_GO_ON for a SYN whose header is whole, else its reason;
 * TFO_INTERNAL_ERROR if a header that the frame does have is not in [data, end). *p starts zeroed.
 */
tfo_inline int tfo_parse(const struct tfo_frame *frame,
			 const volatile struct tfo_load_config *config, struct tfo_packet *p)
{
	struct tfo_layer layer = {.offset = 0, .limit = ~0U, .next = 0, .fragmented = 0};
	int reason;

	reason = tfo_parse_link(frame, config->l3_device, &layer);
	if (reason >= 0)
		return reason;
	reason = tfo_parse_ip(frame, config->decap, p, &layer);
	if (reason >= 0)
		return reason;
	if (layer.next == TFO_IPPROTO_TCP)
		return tfo_parse_tcp(frame, p, layer.offset);
	if (tfo_is_decapsulated(config->decap, layer.next))
		return tfo_decapsulate(frame, config, p, &layer);
	return TFO_NOT_TCP;
}

#endif /* TFO_PARSE_H */
