/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The SYN-ACK monitor's part of tfo_abi.h, which includes it: nobody else does. */
#ifndef TFO_MONITOR_ABI_H
#define TFO_MONITOR_ABI_H

/*
 * The monitor's clock has two hands, cut from boot time without a division: epochs of 2^36 ns
 * (68.7 s) and windows of 2^33 ns (8.6 s). Words and registers carry the low bits of the hand they
 * were written under; an older one counts as empty and is overwritten, so nothing is ever swept.
 */
#define TFO_EPOCH_SHIFT 36
#define TFO_WINDOW_SHIFT 33

/* A word of 16 bits of stamp and 48 bits, from the highest bit down (stamp.h). */
#define TFO_STAMP_SHIFT 48
#define TFO_STAMP_BITS 48

/*
 * One line of a filter of the SYNs that left: word E % 4 holds epoch E, the newest three count, so
 * a SYN is remembered for 137 to 206 s. The longest that an honest SYN-ACK comes late is 63 s.
 */
#define TFO_BLOOM_WORDS 4
#define TFO_BLOOM_REMEMBERED 3
struct tfo_bloom_line {
	__u64 word[TFO_BLOOM_WORDS];
};

/* SYNs a line and epoch at which a false match is as good as agreed on (2.7 %), and too much. */
#define TFO_BLOOM_LOAD 3
#define TFO_BLOOM_SATURATED 8

enum tfo_bloom_filter {
	TFO_BLOOM_MAIN = 0,
	TFO_BLOOM_HEAVY = 1, /* of sources beyond 1/16 of what TFO_BLOOM_LOAD allows */
	TFO_BLOOM_FILTERS
};

/*
 * SYNs by local source, hashed: epoch (12 bits) and how many it added to the filters (20). A cell
 * that nobody wrote for just 78 hours is taken for the current one.
 */
#define TFO_BLOOM_SOURCES 4096
#define TFO_SOURCE_SHIFT 20

/*
 * Whose SYNs went to TFO_BLOOM_HEAVY, by the same hash: the last such source, and the epoch in
 * which it last added one. Two writers at once may mix two addresses.
 */
struct tfo_heavy_source {
	__u64 address[2]; /* its bytes in network order; IPv4 mapped */
	__u32 epoch;
	__u32 pad;
};

/* What one CPU added to a filter in an epoch: a SYN that was there already adds nothing. */
struct tfo_bloom_fill {
	__u32 epoch;
	__u32 inserts;
};

/* Distinct sources: registers of stamp (3 bits of the epoch) and rank (5 bits). */
#define TFO_HLL_REGISTERS 4096
#define TFO_HLL_RANK_BITS 5
struct tfo_hll {
	__u8 reg[TFO_HLL_REGISTERS];
};

/* What a destination is to the monitor. */
enum tfo_target_kind {
	TFO_TARGET_VIP = 1, /* opens no connections: any SYN-ACK to it answers none of its SYNs */
	TFO_TARGET_TRACKED = 2, /* its SYNs leave through a hook of ours */
	TFO_TARGET_ASYMMETRIC = 3, /* nobody knows: SYN-ACKs in and SYNs out are counted */
};

/* Key of a longest-prefix match; IPv4 mapped, so its lengths are 96 to 128. */
struct tfo_target_key {
	__u32 length;
	__u8 prefix[16];
};

#define TFO_NO_SUBJECT 0 /* subjects count from 1 */

/*
 * `subject`: whose counters. `around`: those of the declared prefix that it lies in, or of itself,
 * or TFO_NO_SUBJECT: that prefix' addresses are counted one by one. Its IPv4 addresses have the
 * cells from `first` on, and its first /24 is net `first` / 256. Its IPv6 /64s have 2^B of the
 * subnets, from the lower TFO_SUBNET_SHIFT bits of `first` on; B stands above.
 */
struct tfo_target {
	__u16 subject;
	__u16 around;
	__u8 kind; /* enum tfo_target_kind */
	__u8 around_length; /* of a mapped prefix: 96 to 128; of IPv6: 0 to 64 */
	__u16 since; /* low bits of the window in which it was first watched; user space's */
	__u32 first; /* of IPv4 a multiple of 256 */
};

#define TFO_TARGETS 131072 /* addresses and networks that are watched */
#define TFO_PREFIX_CELLS (1U << 18) /* addresses of all declared IPv4 prefixes together */
#define TFO_SUBNETS (1U << 16) /* counters for the /64s of all declared IPv6 prefixes together */
#define TFO_SUBNET_SHIFT 24

/*
 * Which addresses of a /24 were hit: bank W % 2 holds window W, and address A is bit A % 32 of its
 * word A / 32; words are stamped.
 */
#define TFO_HIT_WORDS 8
struct tfo_hit_map {
	__u64 bank[2][TFO_HIT_WORDS];
};

struct tfo_tally {
	__u64 packets;
	__u64 bytes; /* of IP */
};

/*
 * Counters of one subject, per CPU. An asymmetric one's SYN-ACKs all count as unsolicited: what
 * they are beyond the SYNs that left is its excess. New ones come last.
 */
struct tfo_monitor_counters {
	__u64 syns_out;
	__u64 answered; /* SYN-ACKs to a SYN that is remembered */
	__u64 mismatched; /* of those: they acknowledge what that SYN did not have: at least */
	__u64 known; /* not remembered, and a socket has that connection */
	__u64 blind; /* not remembered, and a socket waits for it: we do not see its SYNs leave */
	__u64 unasked; /* not remembered, and too many to ask for sockets: unsolicited */
	struct tfo_tally unsolicited[2][2]; /* [Fast Open option][payload] */
	__u64 payload; /* bytes of it */
	__u64 repeats; /* of a tuple that came a moment ago: at least */
	struct tfo_tally after; /* data segments that followed an unsolicited SYN-ACK: at least */
	__u64 resets; /* RST and ACK with sequence number 0: what a closed port answers a SYN */
	__u64 samples;
	__u64 samples_lost; /* the ring was full */
};

/* Per CPU, of all subjects. */
#define TFO_SAMPLE_BUDGET 1000 /* samples of a CPU, of few, in ... */
#define TFO_SAMPLE_WINDOW_NS 100000000ULL
#define TFO_SAMPLE_MAX_SHIFT 20
struct tfo_monitor_cpu {
	struct tfo_bloom_fill fill[TFO_BLOOM_FILTERS][TFO_BLOOM_WORDS];
	__u64 window_ns; /* when this window of samples began */
	__u32 sent; /* samples in it */
	__u32 shift; /* one packet in 2^shift is one */
	__u32 asked_at; /* boot time in 2^30 ns */
	__u32 asked; /* sockets looked for since then */
};
#define TFO_ASK_BUDGET 10000 /* in 2^30 ns, a CPU */

#define TFO_SAMPLE_HEADERS 128 /* at most: IP and TCP, a power of two */
#define TFO_SAMPLE_OPTION 1 /* it has a Fast Open option */
#define TFO_SAMPLE_PAYLOAD 2
#define TFO_SAMPLE_REPEAT 4
#define TFO_SAMPLE_RESET 8 /* RST and ACK, no SYN-ACK */

/*
 * One packet out of `weight`, drawn at random. `headers` begins with the IP header; of a Fast Open
 * cookie in it the receiver makes zeros before it shows them to anybody.
 */
struct tfo_sample {
	__u64 time_ns; /* boot time */
	__u8 source[16]; /* IPv4 mapped */
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u32 sequence; /* host order */
	__u32 ack; /* host order */
	__u32 weight;
	__u16 subject;
	__u16 length; /* of IP */
	__u8 flags; /* TFO_SAMPLE_* */
	__u8 ttl;
	__u8 header_length; /* bytes of `headers` */
	__u8 tcp; /* where TCP begins in them, at least 20; or would, were they longer */
	__u8 headers[TFO_SAMPLE_HEADERS];
};

/* For struct tfo_load_config.monitor. */
#define TFO_MONITOR_ON 1
#define TFO_MONITOR_INSIDE 2 /* SYNs that come in here leave; at egress: they were counted */
#define TFO_MONITOR_SOCKETS 4 /* this node's own connections are among the tracked ones */

TFO_STATIC_ASSERT(sizeof(struct tfo_bloom_line) == 32, "two lines fill a cache line");
TFO_STATIC_ASSERT(sizeof(struct tfo_heavy_source) == 24, "no padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_hit_map) == 128, "no padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_target) == 12, "no padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_monitor_counters) == 8 * 21, "no padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_monitor_cpu) == 88, "no padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_sample) == 192, "no padding");

#endif /* TFO_MONITOR_ABI_H */
