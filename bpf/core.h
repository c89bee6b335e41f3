/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What every header of the pure core uses: loads from a frame and the packet description.
 * The core calls no helper and touches no map, so it compiles for BPF and for the host alike.
 */
#ifndef TFO_CORE_H
#define TFO_CORE_H

#include "tfo_abi.h"

#define tfo_inline static inline __attribute__((always_inline))

/* A stage returns a reason (>= 0), or this: not decided yet. */
#define TFO_GO_ON (-1)

/*
 * The part of a frame that lies in one piece: [data, end). A jumbo frame goes on in fragments
 * elsewhere, a captured one may have been cut; `context` tells its whole length (tfo_frame_len):
 * the shell's own in BPF; on the host it points to a __u32, or is NULL where nothing is missing.
 */
struct tfo_frame {
	const __u8 *data;
	const __u8 *end;
	void *context;
};

/*
 * What the stages learn about a packet. Offsets are bytes from the start of the frame. Fields
 * are valid once the stage that sets them went on.
 */
struct tfo_packet {
	__u32 ip_end; /* parse: where the (inner) IP packet ends; beyond it lies padding */
	__u32 ip; /* parse: the (inner) IP header */
	__u32 tcp; /* parse: the TCP header */
	__u32 header_len; /* parse: of the TCP header, 20..60 */
	__u32 option; /* tcpopt: the effective Fast Open option, 0 if there is none */
	__u32 slot; /* vip: counter slot; TFO_NODE_SLOT before */
	__u8 family; /* parse: 4 or 6 */
	__u8 first_fragment; /* parse: more fragments follow */
	__u8 data; /* parse: 1 if the segment carries data */
	__u8 option_seen; /* tcpopt: enum tfo_option_kind of the last one seen */
	__u8 cookie_len; /* tcpopt: bytes of cookie in the effective option */
	__u8 verdict; /* policy: enum tfo_action, what is done */
	__u8 would; /* policy: enum tfo_action, what enforce would do */
	__u8 option_kind; /* tcpopt: enum tfo_option_kind of the effective one */
	__u8 flags; /* vip: TFO_VIP_* */
	__u8 generation; /* cookie: place in the ring of the key that made it */
	__u8 guard; /* guard: enum tfo_guard_answer, TFO_GUARD_OWN */
	__u8 mode; /* vip: enum tfo_vip_mode for this client, never canary */
	__u32 ring; /* vip: index in the map of rings */
};

/*
 * Loads and stores of any alignment, in the frame's byte order. clang's BPF target would turn a
 * memcpy of unknown alignment into single bytes, so there the load is made directly. The length of
 * a whole frame is a helper call there.
 */
#ifdef __bpf__
tfo_inline __u32 tfo_frame_len(const struct tfo_frame *frame); /* frame.h */

tfo_inline __u16 tfo_load16(const __u8 *p)
{
	return *(const __u16 *)p;
}
tfo_inline __u32 tfo_load32(const __u8 *p)
{
	return *(const __u32 *)p;
}
tfo_inline __u64 tfo_load64(const __u8 *p)
{
	return *(const __u64 *)p;
}
tfo_inline void tfo_store16(__u8 *p, __u16 v)
{
	*(__u16 *)p = v;
}
tfo_inline void tfo_store64(__u8 *p, __u64 v)
{
	*(__u64 *)p = v;
}
#else
tfo_inline __u32 tfo_frame_len(const struct tfo_frame *frame)
{
	return frame->context ? *(const __u32 *)frame->context : (__u32)(frame->end - frame->data);
}

tfo_inline __u16 tfo_load16(const __u8 *p)
{
	__u16 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}
tfo_inline __u32 tfo_load32(const __u8 *p)
{
	__u32 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}
tfo_inline __u64 tfo_load64(const __u8 *p)
{
	__u64 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}
tfo_inline void tfo_store16(__u8 *p, __u16 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}
tfo_inline void tfo_store64(__u8 *p, __u64 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}
#endif

/* 16 bits between network and host order, either way. */
tfo_inline __u16 tfo_be16(__u16 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(v);
#else
	return v;
#endif
}

/* The same of 32 bits. */
tfo_inline __u32 tfo_be32(__u32 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(v);
#else
	return v;
#endif
}

/* Of 64 bits. */
tfo_inline __u64 tfo_be64(__u64 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(v);
#else
	return v;
#endif
}

/* `count` bytes at `offset`, or NULL where the frame (or its linear part) has fewer. */
tfo_inline const __u8 *tfo_at(const struct tfo_frame *frame, __u32 offset, __u32 count)
{
	const __u8 *at = frame->data + offset;

	return at + count > frame->end ? 0 : at;
}

#endif /* TFO_CORE_H */
