/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: how many distinct sources, as HyperLogLog registers (Flajolet and others 2007) that
 * carry the epoch they were written in. User space makes the estimate (loader/monitor) and clears
 * registers before their stamp of 3 bits comes again.
 */
#ifndef TFO_HLL_H
#define TFO_HLL_H

#include "core.h"

#define TFO_HLL_INDEX_BITS 12
#define TFO_HLL_MAX_RANK ((1 << TFO_HLL_RANK_BITS) - 1)

/* 1 + the zeros that the word ends with, at most TFO_HLL_MAX_RANK. */
tfo_inline __u32 tfo_hll_rank(__u32 word)
{
	__u32 zeros = 0;

	word |= 1U << (TFO_HLL_MAX_RANK - 1);
	if (!(word & 0xffff)) {
		zeros += 16;
		word >>= 16;
	}
	if (!(word & 0xff)) {
		zeros += 8;
		word >>= 8;
	}
	if (!(word & 0xf)) {
		zeros += 4;
		word >>= 4;
	}
	if (!(word & 3)) {
		zeros += 2;
		word >>= 2;
	}
	return 1 + zeros + !(word & 1);
}

/* `epoch` & 7 is the stamp, so that a register with a rank is never 0. */
tfo_inline __u8 tfo_hll_register(__u32 epoch, __u32 rank)
{
	return (epoch & 7) << TFO_HLL_RANK_BITS | rank;
}

tfo_inline __u32 tfo_hll_index(__u64 hash)
{
	return hash >> (64 - TFO_HLL_INDEX_BITS);
}

/*
 * Counts a source with this hash, all of whose bits are good. Two CPUs that write one register at
 * once lose one of the ranks.
 */
tfo_inline void tfo_hll_add(struct tfo_hll *hll, __u64 hash, __u32 epoch)
{
	__u8 *at = &hll->reg[tfo_hll_index(hash)];
	__u8 now = tfo_hll_register(epoch, tfo_hll_rank((__u32)hash));
	__u8 seen = *(volatile __u8 *)at;

	if (seen >> TFO_HLL_RANK_BITS != (epoch & 7) || seen < now)
		*(volatile __u8 *)at = now;
}

#endif /* TFO_HLL_H */
