/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* One packet, one reason, one count. */
#ifndef TFO_STATS_H
#define TFO_STATS_H

#include "core.h"
#include "maps.h"

#define TFO_CELLS (TFO_REASON_COUNT * TFO_OPTION_KINDS * 2)

/* An XDP program never runs twice at once on a CPU, so a plain add loses nothing. */
static __always_inline void tfo_count(const struct tfo_packet *p, __u32 reason)
{
	__u32 cell = (reason * TFO_OPTION_KINDS + p->option_seen) * 2 + (p->data & 1);
	__u32 slot = p->slot;
	struct tfo_counters *counters = bpf_map_lookup_elem(&stats, &slot);

	if (!counters)
		return;
	/* Keeps the compiler from splitting the index into parts whose bound the verifier loses. */
	asm volatile("" : "+r"(cell));
	if (cell < TFO_CELLS)
		((__u64 *)counters->cell)[cell]++;
	if (p->would == TFO_PASS)
		return; /* nothing is done where nothing would be */
	counters->would[p->would & (TFO_ACTION_COUNT - 1)]++;
	if (p->verdict != TFO_PASS)
		counters->action[p->verdict & (TFO_ACTION_COUNT - 1)]++;
}

/* For user space to read once the run has returned. */
static __always_inline void tfo_leave_trace(const struct tfo_packet *p, __u32 reason)
{
	tfo_traced = (struct tfo_trace){
		.reason = reason,
		.slot = p->slot,
		.option = p->option_seen,
		.data = p->data,
		.verdict = p->verdict,
		.would = p->would,
	};
}

#endif /* TFO_STATS_H */
