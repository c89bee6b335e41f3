/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* One packet, one reason, one count. */
#ifndef TFO_STATS_H
#define TFO_STATS_H

#include "core.h"
#include "maps.h"

/* An XDP program never runs twice at once on a CPU, so a plain add loses nothing. */
static __always_inline void tfo_count(const struct tfo_packet *p, __u32 reason)
{
	__u32 slot = p->slot;
	struct tfo_counters *counters = bpf_map_lookup_elem(&stats, &slot);

	if (counters && reason < TFO_REASON_COUNT && p->option_seen < TFO_OPTION_KINDS)
		counters->cell[reason][p->option_seen][p->data & 1]++;
}

#endif /* TFO_STATS_H */
