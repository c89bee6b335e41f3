/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: rates of one VIP over all CPUs, in the one cache line of struct tfo_trigger. Nothing
 * here is on the way of a packet that passes, so plain atomics do.
 *
 * Two CPUs may meet in a second that has just begun: one of them starts its count, the other adds
 * to it. A count that is lost or given to a neighbouring second moves a limit by that packet.
 */
#ifndef TFO_TRIGGER_H
#define TFO_TRIGGER_H

#include "core.h"

#define TFO_SECOND_NS 1000000000ULL
#define TFO_TRIGGER_HOLD_NS (30 * TFO_SECOND_NS) /* below half for so long: it ends */
#define TFO_PROOF_NS (60 * TFO_SECOND_NS) /* so long a valid cookie vouches for the pool's keys */
#define TFO_BURST_NS (TFO_SECOND_NS / 10) /* what a token bucket holds */
#define TFO_DISARMED_AFTER 4 /* invalid cookies in a row that say so: a stray one says nothing */
#define TFO_BUCKET_TRIES 4

/* Counts one more; how many it makes in this second. `cell`: second << 32 | count. */
tfo_inline __u32 tfo_trigger_count(__u64 *cell, __u64 now_ns)
{
	__u32 second = now_ns / TFO_SECOND_NS;
	__u64 seen = *(volatile __u64 *)cell;

	if ((__u32)(seen >> 32) != second &&
	    __sync_val_compare_and_swap(cell, seen, (__u64)second << 32 | 1) == seen)
		return 1;
	return __sync_fetch_and_add(cell, 1) + 1;
}

/*
 * A trigger with hysteresis: on once more than `above` came in one second, off once it stayed below
 * half of that for TFO_TRIGGER_HOLD_NS. Counts this one; is it on? Each count is seen by one packet
 * of a second, so it costs two stores a second.
 */
tfo_inline int tfo_trigger_on(__u64 *cell, __u64 *until_ns, __u32 above, __u64 now_ns)
{
	volatile __u64 *until = until_ns;
	__u64 count = tfo_trigger_count(cell, now_ns), half = ((__u64)above + 1) / 2;

	if (count == (__u64)above + 1 || (count == (half ?: 1) && *until > now_ns))
		*until = now_ns + TFO_TRIGGER_HOLD_NS;
	return *until > now_ns;
}

/*
 * Is there room for one more in a token bucket of one per `interval_ns`, which holds those of
 * TFO_BURST_NS, or one? `cell`: when it will be full again. CPUs that meet try again; the last of
 * many is told that there is none.
 */
tfo_inline int tfo_take_token(__u64 *cell, __u64 interval_ns, __u64 now_ns)
{
	int i;

	for (i = 0; i < TFO_BUCKET_TRIES; i++) {
		__u64 seen = *(volatile __u64 *)cell;
		__u64 from = seen > now_ns ? seen : now_ns;

		if (from - now_ns > TFO_BURST_NS)
			return 0;
		if (__sync_val_compare_and_swap(cell, seen, from + interval_ns) == seen)
			return 1;
	}
	return 0;
}

/*
 * Is there room for one more in this second, of at most `most` (and 65,535)? `cell`: second (16
 * bits) << 16 | count.
 */
tfo_inline int tfo_take_in_second(__u32 *cell, __u32 most, __u64 now_ns)
{
	__u32 second = now_ns / TFO_SECOND_NS & 0xffff;
	int i;

	for (i = 0; i < TFO_BUCKET_TRIES; i++) {
		__u32 seen = *(volatile __u32 *)cell;
		__u32 taken = seen >> 16 == second ? seen & 0xffff : 0;

		if (taken >= most || taken == 0xffff)
			return 0;
		if (__sync_val_compare_and_swap(cell, seen, second << 16 | (taken + 1)) == seen)
			return 1;
	}
	return 0;
}

/*
 * Remembers that a cookie was valid under the pool's keys, which says that they are the servers'.
 * On the way of every valid cookie to a VIP that may drop, hence once a second is enough.
 */
tfo_inline void tfo_prove(struct tfo_trigger *trigger, __u64 now_ns)
{
	volatile __u64 *proved = &trigger->proved_ns;

	if (now_ns - *proved < TFO_SECOND_NS)
		return;
	*proved = now_ns;
	*(volatile __u32 *)&trigger->unproved = 0;
}

/*
 * May this invalid cookie be dropped, if there are too many of them? Only if a valid one was seen
 * within TFO_PROOF_NS: with a wrong key every cookie looks invalid. `wanted`: there are too many.
 */
tfo_inline int tfo_is_armed(struct tfo_trigger *trigger, int wanted, __u64 now_ns)
{
	__u64 proved = *(volatile __u64 *)&trigger->proved_ns;
	__u32 unproved;

	if (proved && now_ns - proved <= TFO_PROOF_NS)
		return 1;
	unproved = *(volatile __u32 *)&trigger->unproved;
	if (unproved < TFO_DISARMED_AFTER)
		unproved = __sync_fetch_and_add(&trigger->unproved, 1) + 1;
	if (wanted || unproved >= TFO_DISARMED_AFTER)
		*(volatile __u64 *)&trigger->disarmed_ns = now_ns;
	return 0;
}

#endif /* TFO_TRIGGER_H */
