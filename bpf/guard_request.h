/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: SYNs on trial. Where a VIP is at its cap it will soon open handshakes only for
 * networks that have answered (tfo_is_closed), and a newcomer has never opened any. But a SYN that
 * was demoted or asks for a cookie is a handshake like others, which opens nothing in the server's
 * queue: the ACK that ends it is a proof, and the cookie that came with it is good at once.
 *
 * Anybody can send requests from any address, so they are rationed: what a flood of them leaves in
 * the table, and the segments that look there for it in vain, stay few. Whose request finds no room
 * is a stranger a little longer.
 */
#ifndef TFO_GUARD_REQUEST_H
#define TFO_GUARD_REQUEST_H

#include "guard_syn.h"
#include "trigger.h"

/* Requests that a VIP puts on trial in a second: in two minutes they mark one set in 14 or so. */
static __always_inline __u32 tfo_request_rate(void)
{
	return 4 + (tfo_ctl.handshake_mask >> 11);
}

/* Puts the SYN on trial if its network has proven nothing yet. */
static __always_inline void tfo_request_try(const struct tfo_syn *syn,
					    const struct tfo_guard *guard,
					    struct tfo_guard_vip *vip,
					    struct tfo_handshake_set *set)
{
	__u32 now = tfo_tick(tfo_now()), bucket = tfo_bucket(tfo_now());
	struct tfo_handshake *at = tfo_trial_place(set, syn->hash, now, guard->duplicate_ticks);
	struct tfo_opening what;
	struct tfo_seat seat;

	if (!at ||
	    (tfo_seat_find(&seat, syn->tag, bucket, 0) && seat.head->epoch & TFO_HEAD_PROVEN) ||
	    !tfo_take_in_second(&vip->row.tried, tfo_request_rate(), tfo_now()))
		return;
	if (!seat.head && !tfo_seat_find(&seat, syn->tag, bucket, TFO_WORTHLESS + 1))
		return;
	tfo_opening_of(&what, syn, TFO_HANDSHAKE_TRIAL, 0);
	tfo_handshake_put(at, &what, now);
}

/* Only with tfo_cfg.guard. The SYN passes whatever it is for the guard. */
__attribute__((noinline)) int tfo_guard_request(struct xdp_md *ctx, const struct tfo_packet *p)
{
	__u32 slot = p ? p->slot : 0, settings = tfo_settings_index(slot, p ? p->flags : 0);
	const struct tfo_guard *guard = bpf_map_lookup_elem(&guards, &settings);
	struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &slot);
	struct tfo_handshake_set *set;
	struct tfo_flow flow = {}; /* whole: clang moves what is not set about */
	struct tfo_syn syn;

	if (!p || !guard || !vip || !(guard->flags & TFO_GUARD_ON) ||
	    !guard->limit[TFO_LEVEL_VIP] ||
	    tfo_load_of(&vip->head, 0) < guard->limit[TFO_LEVEL_VIP] ||
	    !tfo_syn_of(&syn, &flow, ctx, p))
		return 0;
	set = tfo_handshakes_of(syn.hash);
	if (set)
		tfo_request_try(&syn, guard, vip, set);
	return 1;
}

/*
 * A SYN that is over a limit: TFO_GUARD_OWN if its network has a demotion of its own left, else 0.
 * None that is worth anything makes place for it. A mode that only looks takes the demotion, too,
 * but there it is no trial: the SYN passes.
 */
__attribute__((noinline)) int tfo_guard_own(struct xdp_md *ctx, const struct tfo_packet *p)
{
	__u32 slot = p ? p->slot : 0, settings = tfo_settings_index(slot, p ? p->flags : 0);
	const struct tfo_guard *guard = bpf_map_lookup_elem(&guards, &settings);
	__u32 now = tfo_tick(tfo_now()), bucket = tfo_bucket(tfo_now());
	struct tfo_handshake_set *set;
	struct tfo_flow flow = {};
	struct tfo_handshake *at;
	struct tfo_opening what;
	struct tfo_seat seat;
	struct tfo_syn syn;

	if (!p || !guard || !tfo_syn_of(&syn, &flow, ctx, p) ||
	    !tfo_seat_find(&seat, syn.tag, bucket, TFO_WORTHLESS + 1) ||
	    !tfo_take_own(seat.row, syn.tag, seat.head->epoch & TFO_HEAD_PROVEN, bucket))
		return 0;
	set = syn.acts ? tfo_handshakes_of(syn.hash) : 0;
	at = set ? tfo_trial_place(set, syn.hash, now, guard->duplicate_ticks) : 0;
	if (at) {
		tfo_opening_of(&what, &syn, TFO_HANDSHAKE_TRIAL, tfo_data_flags(&syn));
		tfo_handshake_put(at, &what, now);
	}
	return TFO_GUARD_OWN;
}

#endif /* TFO_GUARD_REQUEST_H */
