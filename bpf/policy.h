/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: what is done with a SYN to a VIP. Servers hold two keys and validators up to sixteen,
 * so a cookie can be good and yet be refused: it is renewed, that is, rewritten to the cookie under
 * a key that every server holds (rewrite.h). Everything else passes.
 */
#ifndef TFO_POLICY_H
#define TFO_POLICY_H

#include "cookie.h"

/* The reasons of a cookie that some key made which is not revoked. */
tfo_inline int tfo_is_accepted(int reason)
{
	return reason == TFO_COOKIE_CURRENT || reason == TFO_COOKIE_STAGED ||
	       reason == TFO_COOKIE_PREVIOUS || reason == TFO_COOKIE_RETIRED;
}

/* Is this a cookie to renew, if there is a key to renew it to? Decides for nearly all of them. */
tfo_inline int tfo_may_renew(const struct tfo_packet *p, int reason, const struct tfo_ring *ring)
{
	return p->flags & TFO_VIP_RENEW && ring->renew >> (p->generation & 15) & 1 &&
	       tfo_is_accepted(reason);
}

/* The generation that cookies are renewed to at this time, or NULL: then nothing is renewed. */
tfo_inline const struct tfo_generation *tfo_renew_target(const struct tfo_ring *ring, __u64 now_ns)
{
	const struct tfo_generation *target;

	if (now_ns > ring->renew_until_ns || ring->target >= ring->count ||
	    ring->target >= TFO_MAX_GENERATIONS)
		return 0;
	target = &ring->generation[ring->target & (TFO_MAX_GENERATIONS - 1)];
	return target->place >= TFO_PLACE_REVOKED || target->not_after_ns < now_ns ? 0 : target;
}

/* What the VIP's mode makes of what enforcing would do. */
tfo_inline __u8 tfo_verdict(__u8 mode, __u8 would)
{
	return mode == TFO_ENFORCE ? would : (__u8)TFO_PASS;
}

#endif /* TFO_POLICY_H */
