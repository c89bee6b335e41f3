/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Kernel shell: what an answer does to the loads of the client's networks. */
#ifndef TFO_GUARD_SETTLE_H
#define TFO_GUARD_SETTLE_H

#include "guard_load.h"

/* A segment of the client's, or an ICMP error about one of the server's. */
struct tfo_answer {
	struct tfo_flow flow;
	__u64 hash; /* tfo_tuple_hash() */
	__u32 seq; /* host order; of an ICMP error: the server's number in the quoted segment */
	__u32 ack; /* host order */
	__u32 flags; /* of TCP, or TFO_ANSWER_ICMP */
};

#define TFO_ANSWER_ICMP 0x100

/* Has the network shown that it answers? */
static __always_inline void tfo_seat_prove(const struct tfo_seat *seat, int proven)
{
	__u32 epoch = *(volatile __u32 *)&seat->head->epoch;

	if (proven && !(epoch & TFO_HEAD_PROVEN))
		__sync_fetch_and_or(&seat->head->epoch, TFO_HEAD_PROVEN);
	else if (!proven && epoch & TFO_HEAD_PROVEN)
		__sync_fetch_and_and(&seat->head->epoch, ~TFO_HEAD_PROVEN);
}

/* What happens to a handshake that the loads count. */
enum tfo_settling {
	TFO_ANSWERED_BY_ACK,
	TFO_ANSWERED_BY_RST,
	TFO_REOPENED, /* the server has not taken the answer */
};

/* Takes a handshake of `bucket` off the loads of the client's networks, or puts it back. */
static __always_inline void tfo_networks_settle(const struct tfo_answer *answer, __u16 slot,
						int finer, __u32 bucket, __u32 now,
						enum tfo_settling how)
{
	int level, coarsest = tfo_coarsest(answer->flow.family);

	for (level = TFO_LEVEL_ADDRESS; level < TFO_LEVEL_VIP; level++) {
		struct tfo_brought_up up;
		struct tfo_seat seat;

		if (level > coarsest || (level < coarsest && !finer) ||
		    !tfo_seat_of(&seat, &answer->flow, slot, level, now, 0))
			continue;
		tfo_seat_use(&seat, now, &up);
		if (how == TFO_REOPENED)
			tfo_load_reopen(seat.head, seat.row, bucket);
		else
			tfo_load_settle(seat.head, seat.row, bucket, now,
					how == TFO_ANSWERED_BY_RST);
		if (how != TFO_ANSWERED_BY_RST)
			tfo_seat_prove(&seat, how == TFO_ANSWERED_BY_ACK);
	}
}

/* A client whose SYN was demoted goes on: its network is none that only ever opens; or it is. */
static __always_inline void tfo_network_prove(const struct tfo_answer *answer, __u16 slot,
					      int proven)
{
	struct tfo_seat seat;

	if (tfo_seat_of(&seat, &answer->flow, slot, tfo_coarsest(answer->flow.family),
			tfo_bucket(tfo_now()), 0))
		tfo_seat_prove(&seat, proven);
}

#endif /* TFO_GUARD_SETTLE_H */
