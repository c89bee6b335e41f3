/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: what the guard makes of a SYN that asks for a cookie. Where a VIP is at its cap it
 * will soon open handshakes only for networks that have answered (tfo_is_closed), and a newcomer
 * has never opened any; but its request is a handshake like others, so it is on trial: the ACK that
 * ends it is a proof, and the cookie that it got is good at once.
 */
#ifndef TFO_GUARD_REQUEST_H
#define TFO_GUARD_REQUEST_H

#include "guard_syn.h"

/* Puts the SYN on trial if its network has proven nothing yet. */
static __always_inline void tfo_request_try(const struct tfo_syn *syn,
					    struct tfo_handshake_set *set)
{
	__u32 now = tfo_tick(tfo_now()), bucket = tfo_bucket(tfo_now());
	struct tfo_handshake *at = tfo_handshake_find(set, syn->hash);
	struct tfo_opening what;
	struct tfo_seat seat;

	at = at ?: tfo_handshake_place(set, now);
	if (tfo_is_pending(at, now) || !tfo_seat_find(&seat, syn->tag, bucket, TFO_WORTHLESS + 1) ||
	    seat.head->epoch & TFO_HEAD_PROVEN)
		return;
	tfo_opening_of(&what, syn, TFO_HANDSHAKE_TRIAL, 0);
	tfo_handshake_put(at, &what, now);
}

/* Only with tfo_cfg.guard. The SYN passes whatever it is for the guard. */
__attribute__((noinline)) int tfo_guard_request(struct xdp_md *ctx, const struct tfo_packet *p)
{
	__u32 slot = p ? p->slot : 0, settings = tfo_settings_index(slot, p ? p->flags : 0);
	const struct tfo_guard *guard = bpf_map_lookup_elem(&guards, &settings);
	const struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &slot);
	struct tfo_frame frame = tfo_frame_of(ctx);
	struct tfo_handshake_set *set;
	struct tfo_flow flow = {}; /* whole: clang moves what is not set about */
	struct tfo_syn syn;
	const __u8 *tcp;

	if (!p || !guard || !vip || !(guard->flags & TFO_GUARD_ON) ||
	    !guard->limit[TFO_LEVEL_VIP] ||
	    tfo_load_of(&vip->head, 0) < guard->limit[TFO_LEVEL_VIP] ||
	    !tfo_load_flow(&frame, p->family, p->ip & TFO_HEADERS, &flow))
		return 0;
	tcp = tfo_at(&frame, p->tcp & TFO_HEADERS, TFO_TCP_LEN);
	if (!tcp)
		return 0;
	syn = (struct tfo_syn){
		.flow = &flow,
		.hash = tfo_tuple_hash(&flow, tfo_load32(tcp), tfo_ctl.hash_seed),
		.tag = tfo_network_tag(&flow, slot, tfo_coarsest(flow.family)),
		.isn = tfo_be32(tfo_load32(tcp + 4)),
		.slot = slot,
		.len = p->ip_end - p->tcp - p->header_len,
	};
	set = tfo_handshakes_of(syn.hash);
	if (set)
		tfo_request_try(&syn, set);
	return 1;
}

#endif /* TFO_GUARD_REQUEST_H */
