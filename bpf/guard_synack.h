/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Kernel shell: what a SYN-ACK that leaves says of its handshake: the number that its ACK has to
 * acknowledge, and, where it leaves again, that the server has not taken what settled it.
 */
#ifndef TFO_GUARD_SYNACK_H
#define TFO_GUARD_SYNACK_H

#include "guard_settle.h"
#include "handshake.h"

/*
 * The SYN-ACK answers this handshake: it acknowledges the SYN, with its data or without. The first
 * number stays: who could put another in its place would settle what he never received.
 */
static __always_inline void tfo_note_answer(struct tfo_handshake *one, __u32 seq, __u32 ack)
{
	__u64 word = *(volatile __u64 *)&one->word, after = word | TFO_HANDSHAKE_ANSWERED;
	__u32 past = ack - (one->isn + 1), slot = one->slot;
	struct tfo_guard_counters *counters;

	if (word & TFO_HANDSHAKE_ANSWERED ||
	    (past && past != tfo_handshake_len(word) && !(word & TFO_HANDSHAKE_PART)))
		return;
	if (!past && word & TFO_HANDSHAKE_DATA)
		after |= TFO_HANDSHAKE_REFUSED;
	*(volatile __u32 *)&one->server_isn = seq;
	__sync_val_compare_and_swap(&one->word, word, after);
	counters = tfo_guard_counters_of(slot);
	if (counters)
		counters->answers++;
}

/* One handshake of a trial or of the loads is open again. Global: few come here. */
__attribute__((noinline)) int tfo_guard_reopen(const struct tfo_answer *answer, __u32 slot,
					       __u32 flags, __u32 opened)
{
	__u32 now = tfo_bucket(tfo_now()), bucket = tfo_tick_bucket(opened);
	struct tfo_guard_vip *vip = bpf_map_lookup_elem(&guard_vips, &slot);

	if (!answer || !vip)
		return 0;
	tfo_vip_bring_up(vip, slot, now);
	tfo_load_reopen(&vip->head, &vip->row, bucket);
	tfo_networks_settle(answer, slot, flags & TFO_HANDSHAKE_FINER, bucket, now, TFO_REOPENED);
	return 1;
}

/*
 * The same SYN-ACK leaves again though the handshake is settled: the server waits for an answer
 * still. What settled it had a wrong checksum, or a number that the server does not take, so it
 * holds its place in the queue (tcp_rtx_synack). An honest client whose ACK crossed it answers once
 * more.
 */
static __always_inline void tfo_answered_again(const struct tfo_answer *answer,
					       struct tfo_handshake *one, __u32 now)
{
	__u64 word = *(volatile __u64 *)&one->word;
	int tried = tfo_handshake_state(word) == TFO_HANDSHAKE_TRIED;
	__u64 *bits = tfo_handshake_bits(answer->hash);
	__u32 slot = one->slot, opened = one->opened;

	if (!(word & TFO_HANDSHAKE_ANSWERED) || one->server_isn != answer->seq ||
	    (!tried && tfo_handshake_state(word) != TFO_HANDSHAKE_SETTLED) ||
	    tfo_tick_age(now, opened) >= TFO_PENDING_BUCKETS)
		return;
	if (__sync_val_compare_and_swap(
		    &one->word, word,
		    tfo_handshake_become(word, tried ? TFO_HANDSHAKE_TRIAL
						     : TFO_HANDSHAKE_PENDING)) != word)
		return;
	if (bits)
		__sync_fetch_and_or(bits, tfo_handshake_bit(answer->hash));
	if (tried)
		tfo_network_prove(answer, slot, 0);
	else
		tfo_guard_reopen(answer, slot, tfo_handshake_flags(word), opened);
}

/* `answer`: of the client's flow; seq and ack are those of the SYN-ACK. */
static __always_inline void tfo_guard_synack(const struct tfo_answer *answer)
{
	struct tfo_handshake_set *set = tfo_handshakes_of(answer->hash);
	struct tfo_handshake *one = set ? tfo_handshake_find(set, answer->hash) : 0;
	__u32 now = tfo_tick(tfo_now());

	if (!one)
		return;
	if (tfo_is_awaited(one, now))
		tfo_note_answer(one, answer->seq, answer->ack);
	else
		tfo_answered_again(answer, one, now);
}

#endif /* TFO_GUARD_SYNACK_H */
