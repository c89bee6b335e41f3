/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Kernel shell: what settles a handshake: the client's ACK or RST, or an ICMP error. */
#ifndef TFO_GUARD_ANSWER_H
#define TFO_GUARD_ANSWER_H

#include "frame.h"
#include "guard_settle.h"
#include "handshake.h"

/* The outcome that the segment gives a handshake, or TFO_NO_OUTCOME. */
static __always_inline int tfo_answer_outcome(const struct tfo_answer *answer,
					      const struct tfo_handshake *one, __u64 word,
					      __u32 guard_flags)
{
	int seen = tfo_handshake_flags(word) & TFO_HANDSHAKE_ANSWERED, outcome;

	if (answer->flags & TFO_ANSWER_ICMP)
		return !seen || answer->seq == one->server_isn ? TFO_OUTCOME_UNREACHABLE
							       : TFO_NO_OUTCOME;
	outcome = tfo_judge_answer(answer->flags, answer->seq, one->isn, tfo_handshake_len(word),
				   tfo_handshake_flags(word));
	/* The exact form: only who received the SYN-ACK knows its number. A bare RST has no ack. */
	if (outcome == TFO_NO_OUTCOME || outcome == TFO_OUTCOME_RESET)
		return outcome;
	if (seen)
		return answer->ack == one->server_isn + 1 ? outcome : TFO_NO_OUTCOME;
	return guard_flags & TFO_GUARD_EXACT ? TFO_NO_OUTCOME : outcome;
}

/* What a settled handshake tells. */
static __always_inline void tfo_count_outcome(__u32 slot, int outcome, __u32 ticks)
{
	struct tfo_guard_counters *counters = tfo_guard_counters_of(slot);

	if (!counters || outcome < 0 || outcome >= TFO_OUTCOME_COUNT)
		return;
	counters->outcome[outcome]++;
	if (outcome > TFO_OUTCOME_OPENED)
		return;
	counters->rtt[tfo_rtt_bucket(ticks)]++;
	counters->rtt_ticks += ticks;
}

static __always_inline void tfo_loads_settle(const struct tfo_answer *answer, __u16 slot, int finer,
					     __u32 opened, int outcome)
{
	__u32 number = slot, now = tfo_bucket(tfo_now()), bucket = tfo_tick_bucket(opened);
	struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &number);
	int reset = outcome > TFO_OUTCOME_OPENED;

	if (!vip)
		return;
	tfo_vip_bring_up(vip, slot, now);
	tfo_load_settle(&vip->head, &vip->row, bucket, now, reset);
	if (!reset)
		vip->settled_epoch = now;
	tfo_networks_settle(answer, slot, finer, bucket, now,
			    reset ? TFO_ANSWERED_BY_RST : TFO_ANSWERED_BY_ACK);
}

/* What a handshake that waited for an answer and has its outcome moves. */
static __always_inline void tfo_settled(const struct tfo_answer *answer, __u16 slot, __u64 word,
					__u32 opened, int outcome)
{
	if (tfo_handshake_state(word) == TFO_HANDSHAKE_TRIAL) {
		if (outcome <= TFO_OUTCOME_OPENED)
			tfo_network_prove(answer, slot, 1);
		return;
	}
	tfo_count_outcome(slot, outcome, tfo_tick(tfo_now()) - opened);
	tfo_loads_settle(answer, slot, tfo_handshake_flags(word) & TFO_HANDSHAKE_FINER, opened,
			 outcome);
}

/* Settles the handshake that the answer belongs to, if it fits; the hint said that there is one. */
static __always_inline void tfo_settle(const struct tfo_answer *answer)
{
	struct tfo_handshake_set *set = tfo_handshakes_of(answer->hash);
	__u32 now = tfo_tick(tfo_now()), opened, slot, settings;
	const struct tfo_guard *guard;
	struct tfo_handshake *one;
	int outcome;
	__u64 word;

	if (!set)
		return;
	one = tfo_handshake_find(set, answer->hash);
	if (one && tfo_is_awaited(one, now)) {
		word = *(volatile __u64 *)&one->word;
		opened = one->opened;
		slot = one->slot;
		settings = tfo_settings_index(slot, tfo_vip_second());
		guard = bpf_map_lookup_elem(&guards, &settings);
		outcome = tfo_answer_outcome(answer, one, word, guard ? guard->flags : 0);
		/* The server may go on as if no error had come (tcp_v4_err), so the load does. */
		if (outcome == TFO_OUTCOME_UNREACHABLE) {
			if (tfo_is_pending(one, now) &&
			    tfo_handshake_mark(one, word, TFO_HANDSHAKE_UNREACHABLE))
				tfo_count_outcome(slot, outcome, 0);
			return;
		}
		if (outcome == TFO_NO_OUTCOME || !tfo_handshake_settle(one, word))
			return;
		tfo_settled(answer, slot, word, opened, outcome);
	}
	tfo_handshake_unhint(set, answer->hash, now);
}

/*
 * tfo_guard_settle() of guard.h, where the hint said yes. In a global function: nothing of it is
 * paid for by the segments that leave before. `ip`, `tcp`: offsets of the headers.
 */
__attribute__((noinline)) int tfo_guard_answered(struct xdp_md *ctx, __u64 hash, __u32 ip,
						 __u32 tcp, __u32 family)
{
	struct tfo_frame frame = tfo_frame_of(ctx);
	const __u8 *header = tfo_at(&frame, tcp & TFO_HEADERS, TFO_TCP_LEN);
	struct tfo_answer answer = {};

	if (!header || !tfo_load_flow(&frame, family, ip & TFO_HEADERS, &answer.flow))
		return 0;
	answer.hash = hash;
	answer.seq = tfo_be32(tfo_load32(header + 4));
	answer.ack = tfo_be32(tfo_load32(header + 8));
	answer.flags = header[13];
	tfo_settle(&answer);
	return 1;
}

#endif /* TFO_GUARD_ANSWER_H */
