/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: the reason of a SYN to a VIP, from what its options amount to. The class is the one
 * that the kernel behind the VIP counts (tcp_try_fastopen in net/ipv4/tcp_fastopen.c).
 */
#ifndef TFO_JUDGE_H
#define TFO_JUDGE_H

#include "cookie.h"
#include "tcpopt.h"

/* Notes what the options amount to (tfo_walk_options) in the packet description. */
tfo_inline void tfo_note_options(struct tfo_packet *p, __u32 found)
{
	p->option_seen = tfo_found_seen(found);
	p->option_kind = tfo_found_kind(found);
	p->cookie_len = tfo_found_cookie_len(found);
	p->option = tfo_found_state(found) == TFO_STATE_NONE
			    ? 0
			    : p->tcp + 20 + tfo_found_offset(found);
}

/* The reason, or TFO_GO_ON if there is a cookie of 8 bytes that has to be checked. */
tfo_inline int tfo_judge_options(const struct tfo_packet *p, __u32 found)
{
	switch (tfo_found_state(found)) {
	case TFO_STATE_REQUEST:
		return TFO_REQUEST;
	case TFO_STATE_COOKIE:
		return p->cookie_len == TFO_COOKIE_LEN ? TFO_GO_ON : TFO_COOKIE_LENGTH;
	}
	if (p->option_seen != TFO_OPTION_NONE)
		return TFO_OPTION_IGNORED;
	return p->data ? TFO_DATA_NO_OPTION : TFO_PLAIN;
}

#endif /* TFO_JUDGE_H */
