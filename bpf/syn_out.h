/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Kernel shell: whose packet it is to the monitor, and the SYNs that leave. */
#ifndef TFO_SYN_OUT_H
#define TFO_SYN_OUT_H

#include "bloom.h"
#include "clock.h"
#include "maps.h"
#include "synack_core.h"

/* What an address is, or NULL: not watched. A mapped address in an IPv6 header is nobody's. */
static __always_inline struct tfo_target *tfo_target_of(const struct tfo_vip_key *address)
{
	struct tfo_target_key key = {.length = 128};

	__builtin_memcpy(key.prefix, &address->high, 8);
	__builtin_memcpy(key.prefix + 8, &address->low, 8);
	return bpf_map_lookup_elem(&targets, &key);
}

static __always_inline struct tfo_monitor_counters *tfo_subject_counters(__u32 subject)
{
	return bpf_map_lookup_elem(&monitor_stats, &subject);
}

static __always_inline struct tfo_monitor_cpu *tfo_this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&monitor_cpus, &zero);
}

static __always_inline struct tfo_bloom_line *tfo_bloom_line_of(__u64 hash, __u32 filter)
{
	__u32 mask = tfo_ctl.bloom_mask, index = filter * (mask + 1) + (hash & mask);

	return bpf_map_lookup_elem(&bloom, &index);
}

static __always_inline __u64 *tfo_sent_of(__u64 hash)
{
	__u32 index = hash & (TFO_RECENT - 1);

	return bpf_map_lookup_elem(&sent, &index);
}

/* Where a local source's SYNs are counted. */
static __always_inline __u32 tfo_source_cell(const struct tfo_vip_key *source)
{
	return tfo_vip_hash(source, tfo_ctl.hash_seed) & (TFO_BLOOM_SOURCES - 1);
}

/*
 * A SYN of a tracked address: into the filter of the many, or, if its source sends too many, into
 * that of the heavy ones, so that a flood blinds us to its own answers alone.
 */
static __always_inline void tfo_remember(const struct tfo_flow *flow, const __u8 *tcp,
					 const struct tfo_vip_key *source)
{
	__u64 hash = tfo_tuple_hash(flow, tfo_load32(tcp), tfo_ctl.hash_seed);
	__u32 cell = tfo_source_cell(source), filter = TFO_BLOOM_MAIN;
	__u32 epoch = tfo_epoch(tfo_now());
	__u32 *count = bpf_map_lookup_elem(&bloom_sources, &cell);
	struct tfo_heavy_source *heavy;
	struct tfo_monitor_cpu *cpu = tfo_this_cpu();
	struct tfo_bloom_line *line;
	__u64 *isn = tfo_sent_of(hash);

	if (!count || !cpu)
		return;
	if (isn)
		*(volatile __u64 *)isn = (hash >> 32) << 32 | tfo_be32(tfo_load32(tcp + 4));
	if (tfo_source_count(*count, epoch) >= tfo_source_limit(tfo_ctl.bloom_mask)) {
		heavy = bpf_map_lookup_elem(&heavy_sources, &cell);
		if (!heavy)
			return;
		tfo_note_heavy(heavy, source, epoch);
		filter = TFO_BLOOM_HEAVY;
	}
	line = tfo_bloom_line_of(hash, filter);
	if (!line || !tfo_bloom_insert(line, hash, epoch))
		return;
	tfo_source_add(count, epoch);
	tfo_bloom_count(cpu->fill[filter], epoch);
}

/* A SYN leaves. */
static __always_inline void tfo_syn_left(const struct tfo_flow *flow, const __u8 *tcp)
{
	struct tfo_monitor_counters *counters;
	struct tfo_vip_key source;
	struct tfo_target *target;

	tfo_source_key_of(&source, flow);
	target = tfo_target_of(&source);
	if (!target)
		return;
	counters = tfo_subject_counters(target->subject);
	if (counters)
		counters->syns_out++;
	if (target->around != TFO_NO_SUBJECT && target->around != target->subject) {
		counters = tfo_subject_counters(target->around);
		if (counters)
			counters->syns_out++;
	}
	if (target->kind == TFO_TARGET_TRACKED)
		tfo_remember(flow, tcp, &source);
}

#endif /* TFO_SYN_OUT_H */
