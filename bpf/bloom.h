/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: which SYNs left in the last two minutes, as a blocked Bloom filter whose words carry
 * the epoch they belong to (struct tfo_bloom_line). One SYN is one line, three bits in one word.
 *
 * It forgets nothing before its time, whatever floods it: a false match only lets an unsolicited
 * SYN-ACK go uncounted, with a chance that follows from how many were inserted. A table that evicts
 * would take honest answers for attacks.
 */
#ifndef TFO_BLOOM_H
#define TFO_BLOOM_H

#include "stamp.h"
#include "vip_hash.h"

tfo_inline __u32 tfo_epoch(__u64 now_ns)
{
	return now_ns >> TFO_EPOCH_SHIFT;
}

/*
 * The three bits of a tuple_hash(); its low bits are the line. Bits 25 to 63 in three parts, each
 * scaled to 48.
 */
tfo_inline __u64 tfo_bloom_bits(__u64 hash)
{
	__u64 first = (hash >> 51) * TFO_STAMP_BITS >> 13;
	__u64 second = (hash >> 38 & 0x1fff) * TFO_STAMP_BITS >> 13;
	__u64 third = (hash >> 25 & 0x1fff) * TFO_STAMP_BITS >> 13;

	return 1ULL << first | 1ULL << second | 1ULL << third;
}

/* Remembers; 1 if that changed anything. `line`: the one of the hash. */
tfo_inline int tfo_bloom_insert(struct tfo_bloom_line *line, __u64 hash, __u32 epoch)
{
	return tfo_stamp_set(&line->word[epoch & (TFO_BLOOM_WORDS - 1)], epoch,
			     tfo_bloom_bits(hash));
}

tfo_inline int tfo_bloom_has(const struct tfo_bloom_line *line, __u64 hash, __u32 epoch)
{
	const volatile __u64 *word = line->word;
	__u64 bits = tfo_bloom_bits(hash);

	return tfo_stamp_has(word[epoch & (TFO_BLOOM_WORDS - 1)], epoch, bits) ||
	       tfo_stamp_has(word[(epoch - 1) & (TFO_BLOOM_WORDS - 1)], epoch - 1, bits) ||
	       tfo_stamp_has(word[(epoch - 2) & (TFO_BLOOM_WORDS - 1)], epoch - 2, bits);
}

#define TFO_SOURCE_MASK ((1U << TFO_SOURCE_SHIFT) - 1)
#define TFO_SOURCE_MOST (TFO_SOURCE_MASK - 4095) /* CPUs that add at once go no further */

/* How many SYNs a source added in this epoch; see TFO_BLOOM_SOURCES. */
tfo_inline __u32 tfo_source_count(__u32 cell, __u32 epoch)
{
	return cell >> TFO_SOURCE_SHIFT == (epoch & 0xfff) ? cell & TFO_SOURCE_MASK : 0;
}

tfo_inline void tfo_source_add(__u32 *cell, __u32 epoch)
{
	__u32 seen = *(volatile __u32 *)cell, first = (epoch & 0xfff) << TFO_SOURCE_SHIFT | 1;

	if (seen >> TFO_SOURCE_SHIFT != (epoch & 0xfff) &&
	    __sync_val_compare_and_swap(cell, seen, first) == seen)
		return;
	if ((seen & TFO_SOURCE_MASK) < TFO_SOURCE_MOST ||
	    seen >> TFO_SOURCE_SHIFT != (epoch & 0xfff))
		__sync_fetch_and_add(cell, 1);
}

/* From so many a source's SYNs go to TFO_BLOOM_HEAVY. `mask`: lines of the filter - 1. */
tfo_inline __u32 tfo_source_limit(__u32 mask)
{
	__u32 limit = (__u64)(mask + 1) * TFO_BLOOM_LOAD / 16;

	return limit < TFO_SOURCE_MOST ? limit : TFO_SOURCE_MOST;
}

/*
 * May TFO_BLOOM_HEAVY hold a SYN of this source? Nobody else's answers are looked for there: it is
 * soon full of everything.
 */
tfo_inline int tfo_is_heavy(const struct tfo_heavy_source *source, __u32 epoch)
{
	return epoch - *(const volatile __u32 *)&source->epoch < TFO_BLOOM_REMEMBERED;
}

tfo_inline void tfo_note_heavy(struct tfo_heavy_source *source, const struct tfo_vip_key *who,
			       __u32 epoch)
{
	volatile __u64 *address = source->address;

	if (address[0] != who->high || address[1] != who->low) {
		address[0] = who->high;
		address[1] = who->low;
	}
	if (source->epoch != epoch)
		*(volatile __u32 *)&source->epoch = epoch;
}

/* One insert more in this epoch. `fill`: of one CPU and one filter. */
tfo_inline void tfo_bloom_count(struct tfo_bloom_fill *fill, __u32 epoch)
{
	struct tfo_bloom_fill *now = &fill[epoch & (TFO_BLOOM_WORDS - 1)];

	if (now->epoch != epoch) {
		now->epoch = epoch;
		now->inserts = 0;
	}
	now->inserts++;
}

#endif /* TFO_BLOOM_H */
