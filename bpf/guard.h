/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell of the guard. The program's order for a SYN to a VIP: classify -> tfo_guard_ask()
 * where the cookie is accepted -> policy -> rewrite or drop -> count.
 */
#ifndef TFO_GUARD_H
#define TFO_GUARD_H

#include "cookie.h"
#include "maps.h"

/*
 * An enum tfo_guard_answer for a SYN whose cookie is accepted, before anything is rewritten; only
 * with tfo_cfg.guard. What is not answered TFO_GUARD_OK opens no handshake, unless `acts` is 0: the
 * packet passes whatever the answer (observe, not in the canary's share), and so takes its place in
 * the server's queue. `tcp`: the TCP header, 20 readable bytes.
 */
static __always_inline int tfo_guard_ask(const struct tfo_packet *p, const struct tfo_flow *flow,
					 const __u8 *tcp, int acts)
{
	(void)p;
	(void)flow;
	(void)tcp;
	(void)acts;
	return TFO_GUARD_OK;
}

/*
 * For a VIP that takes unproven SYNs as retransmissions only: 1 if this one was seen half a second
 * to 8 seconds ago, else it is remembered and the answer is 0.
 */
static __always_inline int tfo_guard_retry(const struct tfo_flow *flow, const __u8 *tcp)
{
	(void)flow;
	(void)tcp;
	return 1;
}

/* An ACK or RST, or an ICMP error, of a handshake may settle it. Changes nothing in the packet. */
static __always_inline void tfo_guard_settle(const struct tfo_frame *frame,
					     const struct tfo_packet *p)
{
	(void)frame;
	(void)p;
}

#endif /* TFO_GUARD_H */
