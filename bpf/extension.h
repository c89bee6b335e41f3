/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Pure core: the extension headers of IPv6 (RFC 8200 section 4). */
#ifndef TFO_EXTENSION_H
#define TFO_EXTENSION_H

#include "layer.h"

/*
 * RFC 8200 section 4.1 knows at most five extension headers before TCP, but Linux goes on as far as
 * they go; so many as fit into 1,500 bytes are followed. The verifier sees one round of them.
 */
#define TFO_EXTENSIONS_A_ROUND 8
#define TFO_EXTENSION_ROUNDS 23
#define TFO_MAX_EXTENSIONS (TFO_EXTENSIONS_A_ROUND * TFO_EXTENSION_ROUNDS)
#define TFO_ANOTHER_ROUND (-3)

tfo_inline int tfo_is_extension(__u16 next)
{
	return next == TFO_IPPROTO_DSTOPTS || next == TFO_IPPROTO_ROUTING ||
	       next == TFO_IPPROTO_FRAGMENT;
}

/* A fragment header: the first fragment goes on, of a later one only its protocol is known. */
tfo_inline int tfo_parse_fragment(const __u8 *header, __u8 decap, struct tfo_packet *p)
{
	__u16 fragment = tfo_be16(tfo_load16(header + 2));

	if (fragment >> 3)
		return header[0] == TFO_IPPROTO_TCP || header[0] == TFO_IPPROTO_DSTOPTS ||
				       header[0] == TFO_IPPROTO_ROUTING ||
				       tfo_is_decapsulated(decap, header[0])
			       ? TFO_FRAGMENT
			       : TFO_NOT_TCP;
	if (fragment & 1)
		p->first_fragment = 1;
	return TFO_GO_ON;
}

/* One extension header (RFC 8200 section 4). */
tfo_inline int tfo_parse_extension(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
				   struct tfo_layer *layer)
{
	const __u8 *header = tfo_at(frame, layer->offset, 8);
	__u32 len = 8;

	if (layer->offset + 8 > p->ip_end)
		return TFO_NOT_TCP;
	if (!header)
		return tfo_too_short(frame, layer->offset + 8);
	if (layer->next == TFO_IPPROTO_FRAGMENT) {
		int reason = tfo_parse_fragment(header, decap, p);

		if (reason >= 0)
			return reason;
	} else {
		/* A source route that still has stops is not for this node (ipv6_rthdr_rcv). */
		if (layer->next == TFO_IPPROTO_ROUTING && header[3])
			return TFO_NOT_TCP;
		len = (header[1] + 1) * 8;
	}
	layer->offset += len;
	if (layer->offset > p->ip_end)
		return TFO_NOT_TCP;
	layer->next = header[0];
	return TFO_GO_ON;
}

/* Some extension headers: TFO_ANOTHER_ROUND if there may be more of them. */
tfo_inline int tfo_parse_round(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
			       struct tfo_layer *layer, int first)
{
	int i, reason;

	for (i = 0; i < TFO_EXTENSIONS_A_ROUND; i++) {
		/* Hop-by-hop options are legal in the first place only (RFC 8200 section 4.1). */
		if (!tfo_is_extension(layer->next) &&
		    (i || !first || layer->next != TFO_IPPROTO_HOPOPTS))
			return TFO_GO_ON;
		/* The kernel refuses a fragment within a fragment (ipv6_frag_rcv). */
		if (layer->next == TFO_IPPROTO_FRAGMENT && layer->fragmented++)
			return TFO_NOT_TCP;
		reason = tfo_parse_extension(frame, decap, p, layer);
		if (reason >= 0)
			return reason;
	}
	return TFO_ANOTHER_ROUND;
}

/*
 * A round after the first, in what a global function can take and return: a reason, or the layer,
 * negative. `chain`: next header, fragmented << 8, decap << 16.
 */
#define TFO_CHAIN_GOES_ON 0x80000000U
tfo_inline int tfo_parse_chain(const struct tfo_frame *frame, struct tfo_packet *p, __u32 offset,
			       __u32 chain)
{
	struct tfo_layer layer = {
		.offset = offset & TFO_HEADERS,
		.limit = p->ip_end,
		.next = (__u16)(chain & 0xff),
		.fragmented = (__u8)(chain >> 8 & 1),
	};
	int reason = tfo_parse_round(frame, (__u8)(chain >> 16), p, &layer, 0);

	if (reason >= 0)
		return reason;
	return TFO_CHAIN_GOES_ON | (layer.offset & TFO_HEADERS) << 16 |
	       (reason == TFO_ANOTHER_ROUND) << 9 | (layer.fragmented & 1U) << 8 |
	       (layer.next & 0xff);
}

#ifdef TFO_ONE_ROUND
tfo_inline int tfo_parse_rounds(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
				struct tfo_layer *layer)
{
	(void)frame;
	(void)decap;
	(void)p;
	(void)layer;
	return TFO_NOT_TCP;
}
#else

#ifdef __bpf__
int tfo_parse_more(struct xdp_md *ctx, struct tfo_packet *p, __u32 offset, __u32 chain);
#endif

/* The rounds after the first. Nobody who opens a connection has any. */
tfo_inline int tfo_parse_rounds(const struct tfo_frame *frame, __u8 decap, struct tfo_packet *p,
				struct tfo_layer *layer)
{
	int i, done;

	for (i = 1; i < TFO_EXTENSION_ROUNDS; i++) {
		__u32 chain = layer->next | (layer->fragmented & 1U) << 8 | (__u32)decap << 16;

#ifdef __bpf__
		done = tfo_parse_more(frame->context, p, layer->offset, chain);
#else
		done = tfo_parse_chain(frame, p, layer->offset, chain);
#endif
		if (done >= 0)
			return done;
		chain = (__u32)done;
		layer->offset = chain >> 16 & TFO_HEADERS;
		layer->fragmented = chain >> 8 & 1;
		layer->next = chain & 0xff;
		if (!(chain >> 9 & 1))
			break;
	}
	return TFO_GO_ON;
}

#endif /* TFO_ONE_ROUND */

#endif /* TFO_EXTENSION_H */
