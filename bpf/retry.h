/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: is this SYN a retransmission? For a VIP that takes unproven SYNs as retransmissions
 * only: Linux and most others send the second one after a second (RFC 6298 section 2), a flood's
 * sender none.
 *
 * Eight SYNs a set. A new one takes the way of one that is older than TFO_RETRY_HOLD; while all are
 * younger it is not remembered, and its next transmission tries again: a flood cannot drive out who
 * will come back within that second. So up to entries / 1.5 s every SYN is remembered (350,000 a
 * second in half a million), beyond that its share of them.
 */
#ifndef TFO_RETRY_H
#define TFO_RETRY_H

#include "core.h"

#define TFO_RETRY_UNIT 3 /* 2^3 ticks, 8.4 ms */
#define TFO_RETRY_TIME 0xfffffU
#define TFO_RETRY_SOONEST 60U /* half a second */
#define TFO_RETRY_LATEST 954U /* 8 seconds */
#define TFO_RETRY_HOLD 179U /* 1.5 seconds */

/* What the table says of a SYN with this name at this time (in units); remembers it if it is new.
 */
tfo_inline int tfo_retry_seen(struct tfo_retry_set *set, __u64 name, __u32 now)
{
	__u32 age, oldest = 0, victim = 0, i;

	for (i = 0; i < 8; i++) {
		__u64 seen = *(volatile __u64 *)&set->seen[i];

		age = (now - (__u32)seen) & TFO_RETRY_TIME;
		if (!seen || age > TFO_RETRY_LATEST) {
			age = TFO_RETRY_LATEST + 1;
		} else if (seen >> 20 == name) {
			return age >= TFO_RETRY_SOONEST;
		}
		if (age > oldest) {
			oldest = age;
			victim = i;
		}
	}
	if (oldest >= TFO_RETRY_HOLD)
		*(volatile __u64 *)&set->seen[victim & 7] = name << 20 | (now & TFO_RETRY_TIME);
	return 0;
}

#endif /* TFO_RETRY_H */
