/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Pure core: numbers of the headers, and where parsing stands between two of them. */
#ifndef TFO_LAYER_H
#define TFO_LAYER_H

#include "core.h"

#define TFO_ETH_LEN 14
#define TFO_VLAN_LEN 4
#define TFO_ETH_IPV4 0x0800
#define TFO_ETH_IPV6 0x86dd
#define TFO_ETH_8021Q 0x8100
#define TFO_ETH_8021AD 0x88a8

#define TFO_IPPROTO_HOPOPTS 0
#define TFO_IPPROTO_IPIP 4
#define TFO_IPPROTO_TCP 6
#define TFO_IPPROTO_UDP 17
#define TFO_IPPROTO_IPV6 41
#define TFO_IPPROTO_ROUTING 43
#define TFO_IPPROTO_FRAGMENT 44
#define TFO_IPPROTO_DSTOPTS 60

/* No header starts beyond; what a verifier knows nothing of is masked with it. */
#define TFO_HEADERS 0x3fff

#define TFO_TCP_MIN 14 /* flags included: the least that says what a segment is */
#define TFO_FRAGMENT_MIN 8 /* the least that a kernel puts together again; ports included */
#define TFO_TCP_LEN 20
#define TFO_TCP_FIN 0x01
#define TFO_TCP_SYN 0x02
#define TFO_TCP_RST 0x04
#define TFO_TCP_ACK 0x10

/* Where parsing stands between two layers. */
struct tfo_layer {
	__u32 offset; /* of the next header */
	__u32 limit; /* the next header's packet may not reach beyond this offset */
	__u16 next; /* ethertype or IP protocol of the next header */
	__u8 fragmented; /* a fragment header came by */
};

/* Headers up to `need` are not in [data, end): is the frame too short, or do they lie elsewhere? */
tfo_inline int tfo_too_short(const struct tfo_frame *frame, __u32 need)
{
	return need > tfo_frame_len(frame) ? TFO_NOT_TCP : TFO_INTERNAL_ERROR;
}

tfo_inline int tfo_is_decapsulated(__u8 decap, __u16 protocol)
{
	if (protocol == TFO_IPPROTO_IPIP || protocol == TFO_IPPROTO_IPV6)
		return decap & TFO_DECAP_IPIP;
	return protocol == TFO_IPPROTO_UDP && (decap & TFO_DECAP_GUE);
}

#endif /* TFO_LAYER_H */
