/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the measuring programs of tfo_bench.bpf.c share with `tfoctl bench`. */
#ifndef TFO_BENCH_H
#define TFO_BENCH_H

#include <linux/types.h>

#define TFO_BENCH_MIN_LEN 64 /* shortest prepared packet */
#define TFO_BENCH_MAX_LEN 128 /* longest one; two cache lines */

/* One prepared frame, from the Ethernet header on. Its length is that of the run, and even. */
struct tfo_bench_packet {
	union {
		__u8 bytes[TFO_BENCH_MAX_LEN];
		__u16 halves[TFO_BENCH_MAX_LEN / 2];
		__u64 words[TFO_BENCH_MAX_LEN / 8];
	};
};

/* Entries of bench_targets, and of bench_tc_targets. */
enum tfo_bench_target { TFO_BENCH_EMPTY = 0, TFO_BENCH_TFO = 1, TFO_BENCH_TARGETS };

#define TFO_BENCH_TC_NEXT (-1) /* what all measured programs at tc egress return */

#endif /* TFO_BENCH_H */
