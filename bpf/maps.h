/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Every map, once. All loads of a node share them: the loader creates them with the first load,
 * pins them, and hands them to the other loads. Sizes marked "loader" are set before the load;
 * from then on memory is fixed.
 */
#ifndef TFO_MAPS_H
#define TFO_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "tfo_abi.h"

/* Fixed for one load. */
const volatile struct tfo_load_config tfo_cfg SEC(".rodata");

/* What user space switches while packets flow; its own section, so that it is a map of its own. */
struct tfo_control tfo_ctl SEC(".data.ctl");

/* Of this load alone. */
struct tfo_trace tfo_traced SEC(".data.trace");

/* Two-choice table of the VIPs: 2 sides of (tfo_ctl.vip_mask + 1) rows (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * 16384);
	__type(key, __u32);
	__type(value, struct tfo_vip);
} vips SEC(".maps");

/* Keys: ring of pool P, side S at P * 2 + S. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * TFO_MAX_POOLS);
	__type(key, __u32);
	__type(value, struct tfo_ring);
} rings SEC(".maps");

/* Counters by slot (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_counters);
} stats SEC(".maps");

/* What VIPs do, two cells a slot: tfo_settings_index() (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * 64);
	__type(key, __u32);
	__type(value, struct tfo_policy);
} policies SEC(".maps");

/* What is remembered for it, by slot, as the counters (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_trigger);
} triggers SEC(".maps");

/* The timer that keeps tfo_ctl.now_ns; see clock.h. */
struct tfo_clock {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_clock);
} clock SEC(".maps");

/*
 * The guard's tables. The loader sizes all of them by one number, that of the handshakes N: sets
 * N / 2, bits N / 128, heads N / 16, rows N / 8, retries N / 4. Mappable arrays begin at a page, so
 * that a set is one cache line; user space reads them in place.
 */
#define TFO_HANDSHAKES 262144

/* Bit I of word I / 64: set I of the handshakes has a pending one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TFO_HANDSHAKES / 128);
	__type(key, __u32);
	__type(value, __u64);
} handshake_bits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TFO_HANDSHAKES / 2);
	__type(key, __u32);
	__type(value, struct tfo_handshake_set);
} handshakes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TFO_HANDSHAKES / 16);
	__type(key, __u32);
	__type(value, struct tfo_guard_heads);
} guard_heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TFO_HANDSHAKES / 8);
	__type(key, __u32);
	__type(value, struct tfo_guard_row);
} guard_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TFO_HANDSHAKES / 4);
	__type(key, __u32);
	__type(value, struct tfo_retry_set);
} retries SEC(".maps");

/* The guard's settings, as `policies`; by slot a VIP's own load and the counters (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * 64);
	__type(key, __u32);
	__type(value, struct tfo_guard);
} guards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_guard_vip);
} guard_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_guard_counters);
} guard_stats SEC(".maps");

/* What the operator said of client networks: struct tfo_control.guard_list says how many. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct tfo_guard_list_key);
	__type(value, struct tfo_guard_list_entry);
} guard_list SEC(".maps");

/* struct tfo_guard_event. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} guard_events SEC(".maps");

/*
 * The SYN-ACK monitor's tables; of one entry each where nothing is monitored (loader). Subjects are
 * whose counters stand where: a VIP, a tracked address, a declared prefix.
 */

/* The destinations that are watched, and the sources whose SYNs are remembered. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TFO_TARGETS);
	__type(key, struct tfo_target_key);
	__type(value, struct tfo_target);
} targets SEC(".maps");

/* By filter * (tfo_ctl.bloom_mask + 1) + line: enum tfo_bloom_filter (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_bloom_line);
} bloom SEC(".maps");

/* By hash of the local source: see TFO_BLOOM_SOURCES. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TFO_BLOOM_SOURCES);
	__type(key, __u32);
	__type(value, __u32);
} bloom_sources SEC(".maps");

/* By the same hash. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TFO_BLOOM_SOURCES);
	__type(key, __u32);
	__type(value, struct tfo_heavy_source);
} heavy_sources SEC(".maps");

/* By subject (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_monitor_counters);
} monitor_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_hll);
} reflectors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_monitor_cpu);
} monitor_cpus SEC(".maps");

/* Packets to each address of the declared IPv4 prefixes: tfo_cell_of() (loader). Wrap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cells SEC(".maps");

/* By cell / 256 (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_tally);
} net_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_hit_map);
} hit_maps SEC(".maps");

/* Packets to the /64s of the declared IPv6 prefixes: tfo_subnet_of() (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_tally);
} subnets SEC(".maps");

/*
 * Unsolicited SYN-ACKs of late, by the low 16 bits of their tfo_tuple_hash(): its other bits, and
 * the subject in their place. Overwritten, never evicted (loader).
 */
#define TFO_RECENT (1U << 16)
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} recent SEC(".maps");

/* SYNs that left of late, by the same bits: the hash's upper half, and the ISN (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sent SEC(".maps");

/* struct tfo_sample (loader). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} samples SEC(".maps");

/* The rest is kept here for user space, the programs do not read it. */

/* Totals taken over from an older set of maps, by slot (loader): a counter is base + all CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_counters);
} stats_base SEC(".maps");

/* The same of the guard's counters. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_guard_counters);
} guard_base SEC(".maps");

/* Whose slot is it (loader)? */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct tfo_slot_name);
} slot_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tfo_meta);
} meta SEC(".maps");

#endif /* TFO_MAPS_H */
