/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: the TCP options of a SYN as the kernel reads them (tcp_parse_options,
 * tcp_parse_fastopen_option in net/ipv4/tcp_input.c). An odd cookie length is ignored; an even
 * but illegal one erases what came before; the last effective option wins; the walk ends at EOL,
 * at a length below 2, at an option that overruns the header, and never enters the payload.
 */
#ifndef TFO_TCPOPT_H
#define TFO_TCPOPT_H

#include "core.h"

#define TFO_TCPOPT_EOL 0
#define TFO_TCPOPT_NOP 1
#define TFO_TCPOPT_FASTOPEN 34 /* RFC 7413 section 4.1.1 */
#define TFO_TCPOPT_EXP 254 /* RFC 4727, with the magic below (RFC 6994) */
#define TFO_FASTOPEN_MAGIC 0xf989

#define TFO_TCPOPT_SPACE 40 /* bytes of options that a TCP header can hold */

enum tfo_option_state { TFO_STATE_NONE = 0, TFO_STATE_REQUEST = 1, TFO_STATE_COOKIE = 2 };

/*
 * What the options of a SYN amount to, packed into 32 bits so that a BPF global function can
 * return it: state (2 bits), kind last seen (2), length of the cookie (5), offset of the
 * effective option from the start of the options (6), its kind (2): an odd length sets the kind
 * last seen and nothing else.
 */
tfo_inline __u32 tfo_found(__u32 state, __u32 seen, __u32 cookie_len, __u32 offset)
{
	return state | seen << 2 | cookie_len << 4 | offset << 9 | seen << 15;
}
tfo_inline __u32 tfo_found_state(__u32 found)
{
	return found & 3;
}
tfo_inline __u32 tfo_found_seen(__u32 found)
{
	return found >> 2 & 3;
}
tfo_inline __u32 tfo_found_cookie_len(__u32 found)
{
	return found >> 4 & 31;
}
tfo_inline __u32 tfo_found_offset(__u32 found)
{
	return found >> 9 & 63;
}
tfo_inline __u32 tfo_found_kind(__u32 found)
{
	return found >> 15 & 3;
}

/* Bytes before the cookie in an option of this kind. */
tfo_inline __u32 tfo_option_base(__u32 kind)
{
	return kind == TFO_OPTION_254 ? 4 : 2;
}

/* What one Fast Open option with `len` cookie bytes makes of what was found before it. */
tfo_inline __u32 tfo_option_effect(__u32 found, __u32 kind, __u32 len, __u32 offset)
{
	if (len & 1)
		return (found & ~(3U << 2)) | kind << 2;
	if (len == 0)
		return tfo_found(TFO_STATE_REQUEST, kind, 0, offset);
	if (len < 4 || len > 16)
		return tfo_found(TFO_STATE_NONE, kind, 0, 0);
	return tfo_found(TFO_STATE_COOKIE, kind, len, offset);
}

/*
 * `len` bytes of options at `options`, all before `end`. The offset stays masked and the pointer
 * is made anew on every turn: a shape that the verifier follows with few states.
 */
tfo_inline __u32 tfo_walk_options(const __u8 *options, const __u8 *end, __u32 len)
{
	__u32 found = 0, offset = 0;
	int i;

	for (i = 0; i < TFO_TCPOPT_SPACE; i++) {
		const __u8 *option = options + offset;
		__u32 size;

		/* A single last byte can only be EOL, NOP or broken. */
		if (offset >= len || option + 2 > end || option[0] == TFO_TCPOPT_EOL)
			break;
		if (option[0] == TFO_TCPOPT_NOP) {
			offset = (offset + 1) & 63;
			continue;
		}
		size = option[1];
		if (size < 2 || offset + size > len)
			break;
		if (option[0] == TFO_TCPOPT_FASTOPEN)
			found = tfo_option_effect(found, TFO_OPTION_34, size - 2, offset);
		else if (option[0] == TFO_TCPOPT_EXP && size >= 4 && option + 4 <= end &&
			 tfo_be16(tfo_load16(option + 2)) == TFO_FASTOPEN_MAGIC)
			found = tfo_option_effect(found, TFO_OPTION_254, size - 4, offset);
		offset = (offset + size) & 63;
	}
	return found;
}

#define TFO_NEEDS_WALK (~0U)

/*
 * Linux writes the options of a SYN in one order (tcp_options_write): MSS, SACK permitted,
 * timestamps, NOP, window scale, then Fast Open and two NOPs. That layout is recognised by a few
 * compares, with the same result as the walk; anything else answers TFO_NEEDS_WALK. `len` bytes
 * of options at `options` must be readable.
 */
tfo_inline __u32 tfo_linux_options(const __u8 *options, const __u8 *end, __u32 len)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	return TFO_NEEDS_WALK;
#endif
	if (options + 20 > end || len < 20 || tfo_load16(options) != 0x0402 ||
	    tfo_load32(options + 4) != 0x0a080204 ||
	    (tfo_load32(options + 16) & 0xffffff) != 0x030301)
		return TFO_NEEDS_WALK;
	if (len == 20)
		return 0;
	if (len == 32 && options + 32 <= end && tfo_load16(options + 20) == 0x0a22 &&
	    tfo_load16(options + 30) == 0x0101)
		return tfo_found(TFO_STATE_COOKIE, TFO_OPTION_34, TFO_COOKIE_LEN, 20);
	if (len == 24 && options + 24 <= end && tfo_load32(options + 20) == 0x01010222)
		return tfo_found(TFO_STATE_REQUEST, TFO_OPTION_34, 0, 20);
	return TFO_NEEDS_WALK;
}

#endif /* TFO_TCPOPT_H */
