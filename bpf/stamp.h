/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: 48 bits that belong to one epoch (or window) and are empty in every other. Nothing has
 * to be cleared, and CPUs set bits in one word without a lock.
 *
 * The stamp wraps after 2^16 epochs (52 days). A word that nobody wrote for just that long comes to
 * life again: that can forgive, never accuse.
 */
#ifndef TFO_STAMP_H
#define TFO_STAMP_H

#include "core.h"

/* The stamp of an epoch, in its place. */
tfo_inline __u64 tfo_stamp(__u32 epoch)
{
	return (__u64)(epoch & 0xffff) << TFO_STAMP_SHIFT;
}

tfo_inline int tfo_stamped(__u64 word, __u32 epoch)
{
	return word >> TFO_STAMP_SHIFT == (epoch & 0xffff);
}

/* Are all the bits there in this epoch? */
tfo_inline int tfo_stamp_has(__u64 word, __u32 epoch, __u64 bits)
{
	return tfo_stamped(word, epoch) && (word & bits) == bits;
}

/*
 * Sets bits for this epoch; 1 if one of them was not there before. Of several CPUs that find an old
 * stamp one takes the word over, the others add to what it wrote.
 */
tfo_inline int tfo_stamp_set(__u64 *word, __u32 epoch, __u64 bits)
{
	__u64 seen = *(volatile __u64 *)word, was;

	if (!tfo_stamped(seen, epoch)) {
		was = __sync_val_compare_and_swap(word, seen, tfo_stamp(epoch) | bits);
		if (was == seen)
			return 1;
		if (!tfo_stamped(was, epoch))
			return 0; /* this CPU is epochs behind */
		seen = was;
	}
	if ((seen & bits) == bits)
		return 0;
	return (__sync_fetch_and_or(word, bits) & bits) != bits;
}

#endif /* TFO_STAMP_H */
