/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: which packets become samples. A token bucket would take who comes first, and whoever
 * keeps step with it is never seen; here each packet is drawn with the same chance, and says it.
 */
#ifndef TFO_SAMPLER_H
#define TFO_SAMPLER_H

#include "core.h"

/*
 * `budget`: samples of a CPU in TFO_SAMPLE_WINDOW_NS, tfo_ctl.sample_budget.
 *
 * The chance halves when the budget of a window is used up, and doubles after a window that used a
 * quarter of it; after a rest every packet is a sample.
 */
tfo_inline void tfo_sampler_turn(struct tfo_monitor_cpu *cpu, __u64 now_ns, __u32 budget)
{
	__u64 age = now_ns - cpu->window_ns;

	if (age >= 64 * TFO_SAMPLE_WINDOW_NS) {
		cpu->shift = 0;
	} else if (cpu->sent >= budget) {
		if (cpu->shift < TFO_SAMPLE_MAX_SHIFT)
			cpu->shift++;
	} else if (age < TFO_SAMPLE_WINDOW_NS) {
		return;
	} else if (cpu->sent <= budget / 4 && cpu->shift) {
		cpu->shift--;
	}
	cpu->window_ns = now_ns;
	cpu->sent = 0;
}

/* The weight of a packet that is a sample, or 0. `random`: 32 bits. */
tfo_inline __u32 tfo_sample_weight(struct tfo_monitor_cpu *cpu, __u64 now_ns, __u32 budget,
				   __u32 random)
{
	__u32 shift;

	tfo_sampler_turn(cpu, now_ns, budget);
	shift = cpu->shift & 31;
	if (random & ((1U << shift) - 1))
		return 0;
	cpu->sent++;
	return 1U << shift;
}

/* May a socket be looked for once more? */
tfo_inline int tfo_may_ask(struct tfo_monitor_cpu *cpu, __u64 now_ns)
{
	__u32 hand = now_ns >> 30;

	if (cpu->asked_at != hand) {
		cpu->asked_at = hand;
		cpu->asked = 0;
	}
	return cpu->asked++ < TFO_ASK_BUDGET;
}

#endif /* TFO_SAMPLER_H */
