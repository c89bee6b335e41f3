/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The one clock: boot time in ns, coarse. A timer in a pinned map writes it, so it goes on when no
 * daemon lives, and reading it costs one load instead of a helper call (15 to 30 ns).
 */
#ifndef TFO_CLOCK_H
#define TFO_CLOCK_H

#include "maps.h"

#define TFO_CLOCK_BOOTTIME 7 /* CLOCK_BOOTTIME of linux/time.h, which user space headers hide */
#define TFO_CLOCK_TICK_NS 10000000ULL

static __always_inline __u64 tfo_now(void)
{
	return *(volatile __u64 *)&tfo_ctl.now_ns;
}

static int tfo_clock_tick(void *map, __u32 *key, struct tfo_clock *c)
{
	(void)map;
	(void)key;
	*(volatile __u64 *)&tfo_ctl.now_ns = bpf_ktime_get_boot_ns();
	bpf_timer_start(&c->timer, TFO_CLOCK_TICK_NS, 0);
	return 0;
}

/* Starts the timer, or hands a running one over to this program. 0, or -errno of the helper. */
static __always_inline int tfo_clock_arm(void)
{
	__u32 zero = 0;
	struct tfo_clock *c = bpf_map_lookup_elem(&clock, &zero);

	if (!c)
		return -1;
	/* -EBUSY: an earlier program initialised it; its callback is replaced below. */
	bpf_timer_init(&c->timer, &clock, TFO_CLOCK_BOOTTIME);
	if (bpf_timer_set_callback(&c->timer, tfo_clock_tick))
		return -1;
	*(volatile __u64 *)&tfo_ctl.now_ns = bpf_ktime_get_boot_ns();
	return bpf_timer_start(&c->timer, TFO_CLOCK_TICK_NS, 0);
}

#endif /* TFO_CLOCK_H */
