/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The only header that the BPF programs and user space share: limits, keys, VIPs, reasons,
 * counters. Every map's value type stands here. A change of layout, or of tfo_vip_hash() by which
 * user space places what a running program looks up, raises TFO_ABI_VERSION; reason ids are
 * append-only, so that counters survive an upgrade.
 */
#ifndef TFO_ABI_H
#define TFO_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define TFO_STATIC_ASSERT static_assert
#else
#define TFO_STATIC_ASSERT _Static_assert
#endif

#ifndef TFO_ABI_VERSION
#define TFO_ABI_VERSION 2
#endif

#define TFO_MAX_POOLS 256 /* key pools of one node */
#define TFO_MAX_GENERATIONS 16 /* keys of one pool that the validator tries */
#define TFO_NAME_LEN 64 /* VIP name with its terminating NUL */
#define TFO_COOKIE_LEN 8 /* the cookie that Linux mints; RFC 7413 section 4.1.1 allows 4..16 */

/*
 * X(id, NAME, label, sentence): one reason per packet. Precedence is the order of the stages:
 * not_tcp, fragment, truncated, other, syn_ack, not_vip, then what a SYN to a VIP is.
 */
#define TFO_REASONS(X)                                                                             \
	X(0, NOT_TCP, "not_tcp", "Not TCP, or malformed IP")                                       \
	X(1, FRAGMENT, "fragment", "A TCP fragment other than the first")                          \
	X(2, TRUNCATED, "truncated", "A TCP header that is not whole in its packet")               \
	X(3, OTHER, "other", "TCP that is neither a SYN nor a SYN-ACK, or a SYN with FIN or RST")  \
	X(4, SYN_ACK, "syn_ack", "A SYN-ACK")                                                      \
	X(5, NOT_VIP, "not_vip", "A SYN to an address and port that is no VIP")                    \
	X(6, PLAIN, "plain", "A SYN with neither Fast Open option nor data")                       \
	X(7, DATA_NO_OPTION, "data_no_option", "A SYN with data and no Fast Open option")          \
	X(8, REQUEST, "request", "A SYN that asks for a cookie")                                   \
	X(9, COOKIE_CURRENT, "cookie_current", "A cookie under the current key")                   \
	X(10, COOKIE_STAGED, "cookie_staged", "A cookie under the staged (next) key")              \
	X(11, COOKIE_PREVIOUS, "cookie_previous", "A cookie under the previous key")               \
	X(12, COOKIE_RETIRED, "cookie_retired", "A cookie under a retired, still accepted key")    \
	X(13, COOKIE_REVOKED, "cookie_revoked", "A cookie under a revoked key")                    \
	X(14, COOKIE_INVALID, "cookie_invalid", "An 8-byte cookie that no key of the pool made")   \
	X(15, COOKIE_LENGTH, "cookie_length", "A cookie of a legal length other than 8 bytes")     \
	X(16, OPTION_IGNORED, "option_ignored", "A Fast Open option that the kernel ignores")      \
	X(17, NO_KEY, "no_key", "A cookie, and no unexpired key in the pool to check it with")     \
	X(18, INTERNAL_ERROR, "internal_error", "Passed unclassified: a map or header was missing")

enum tfo_reason {
#define TFO_REASON_ENUM(id, name, label, sentence) TFO_##name = id,
	TFO_REASONS(TFO_REASON_ENUM)
#undef TFO_REASON_ENUM
		TFO_REASON_COUNT
};

/* Kind of the last Fast Open option seen in a SYN, whatever its length. */
enum tfo_option_kind {
	TFO_OPTION_NONE = 0,
	TFO_OPTION_34 = 1, /* RFC 7413 section 4.1.1 */
	TFO_OPTION_254 = 2, /* experimental, magic 0xF989 */
	TFO_OPTION_KINDS
};

enum tfo_action { TFO_PASS = 0, TFO_RENEW = 1, TFO_DEMOTE = 2, TFO_DROP = 3, TFO_ACTION_COUNT };

/*
 * Counters of one slot, per CPU. Slot 0 is the node's (packets that belong to no VIP), every VIP
 * has its own. `pass` is not counted by the program: it is the sum of the reasons less the
 * other actions. cell[] stays last: new reasons lengthen the struct and move nothing.
 */
struct tfo_counters {
	__u64 action[TFO_ACTION_COUNT]; /* what was done */
	__u64 would[TFO_ACTION_COUNT]; /* what enforce would have done */
	__u64 cell[TFO_REASON_COUNT][TFO_OPTION_KINDS][2]; /* [reason][option][data in the SYN] */
};

#define TFO_NODE_SLOT 0

/* Place of a generation in the servers' two key slots. */
enum tfo_place {
	TFO_PLACE_CURRENT = 0, /* the servers' primary: mints and validates */
	TFO_PLACE_PREVIOUS = 1, /* older than current, in the servers' backup slot */
	TFO_PLACE_STAGED = 2, /* newer than current, in the servers' backup slot or about to be */
	TFO_PLACE_RETIRED = 3, /* in no server's slots, still accepted here */
	TFO_PLACE_REVOKED = 4, /* recognised, never accepted */
};

/*
 * One key as SipHash reads it: k0 = little-endian bytes 0..7, k1 = bytes 8..15 of the key
 * (net/ipv4/tcp_fastopen.c). not_after_ns: boot time; the generation is passed over once the
 * clock of struct tfo_control is later.
 */
struct tfo_generation {
	__u64 k0;
	__u64 k1;
	__u64 not_after_ns;
	__u32 place; /* enum tfo_place */
	__u32 pad;
};

/*
 * The keys of a pool in the order they are tried: current, previous, staged, retired (newest
 * first), revoked. A cookie of generation i with bit i of `renew` set may be rewritten to the
 * cookie under generation `target`, which every server holds, until the clock of struct
 * tfo_control is past renew_until_ns. Once it is past fresh_until_ns the ring may lack keys that
 * servers mint with: a cookie that it does not accept is neither demoted nor dropped any more.
 */
struct tfo_ring {
	__u32 count; /* 0..TFO_MAX_GENERATIONS */
	__u16 renew; /* never the target's own bit; 0: nothing is renewed */
	__u16 target; /* below count where renew is not 0 */
	__u64 renew_until_ns; /* boot time; 0 with renew 0 */
	__u64 fresh_until_ns; /* boot time; all ones where one node alone changes the ring */
	__u64 pad;
	struct tfo_generation generation[TFO_MAX_GENERATIONS];
};

enum tfo_vip_mode { TFO_OBSERVE = 0, TFO_CANARY = 1, TFO_ENFORCE = 2 };

#define TFO_VIP_USED 1
#define TFO_VIP_RENEW 2 /* renew what tfo_ring.renew names, in the modes that act */
#define TFO_VIP_POLICY 4 /* tfo_policy does more than pass to what is no valid cookie */
#define TFO_VIP_PROVE 8 /* tfo_trigger.proved_ns is wanted: invalid cookies may be dropped */
#define TFO_VIP_RETRY 16 /* in a flood, what proves nothing passes the second time */

/*
 * One row of the VIP table: (address, port) or, with port 0, (address, any port). IPv4 addresses
 * are IPv4-mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2). Bytes and port in network order.
 */
struct tfo_vip {
	__u8 address[16];
	__be16 port;
	__u16 slot; /* index into the counters, never TFO_NODE_SLOT */
	__u16 pool; /* below TFO_MAX_POOLS */
	__u8 mode; /* enum tfo_vip_mode */
	__u8 flags; /* TFO_VIP_* */
	__u16 canary; /* share of client prefixes that mode canary enforces, of 10,000 (canary.h) */
	__u16 pad[3];
};

#define TFO_POLICY_SIGNED 1 /* signed SYNs pass where they would have been demoted */
#define TFO_POLICY_NO_DEMOTE 2 /* servers take data without a cookie: demoting does nothing */
#define TFO_POLICY_RETRY 4 /* as TFO_VIP_RETRY */

/*
 * What enforcing does for a VIP, by counter slot; all zero passes everything but revoked cookies,
 * which are demoted. User space replaces it in place while packets flow: a packet may see some
 * fields as they were and some as they are, each of which is good by itself.
 */
struct tfo_policy {
	__u32 drop_above; /* invalid cookies a second, above which on_invalid drop drops all */
	__u32 unproven_rate; /* a second; SYNs that no cookie vouches for, in a flood or over a
				limit */
	__u32 unproven_ns; /* nanoseconds for each of them: 10^9 / unproven_rate */
	__u8 on_invalid; /* enum tfo_action: pass, demote, drop */
	__u8 on_data; /* data and no option: pass or drop */
	__u8 on_truncated; /* a SYN whose TCP header is not whole in its packet: pass or drop */
	__u8 flags; /* TFO_POLICY_* */
};

/* What the programs remember of a VIP's rates, by counter slot, all CPUs together (trigger.h). */
struct tfo_trigger {
	__u64 proved_ns; /* a cookie was valid, to the second; 0: never */
	__u64 disarmed_ns; /* last invalid cookie at which dropping was not armed; 0: never */
	__u64 invalid; /* second << 32 | invalid cookies in it */
	__u64 dropping_until_ns;
	__u64 unproven; /* second << 32 | SYNs that prove nothing in it */
	__u64 flooded_until_ns;
	__u64 token_ns; /* when the bucket of unproven_rate is full again */
	__u32 unproved; /* invalid cookies since a valid one, counted up to TFO_DISARMED_AFTER */
	__u32 own; /* second (16 bits) | networks' own demotions in it */
};

/*
 * What user space switches while packets flow; all loads of a node share it. A packet reads a
 * side once: 0 or 1 says which half of the table (or ring pair) is live, the other one may be
 * written only after an RCU grace period has passed since the flip.
 */
struct tfo_control {
	__u64 now_ns; /* the one clock: CLOCK_BOOTTIME, coarse; in replay the capture's */
	__u64 hash_seed[2]; /* of the VIP table, new at every first load */
	__u32 vip_mask; /* rows of one side of the VIP table - 1 */
	__u32 vip_side;
	/* Masks of the guard's tables: sets of handshakes, of heads and of retries - 1. */
	__u32 handshake_mask;
	__u32 head_mask;
	__u32 retry_mask;
	__u32 guard_list; /* entries of the operator's list; at 0 nobody looks */
	__u32 bloom_mask; /* lines of each of the monitor's filters - 1 */
	__u32 sample_budget; /* of each CPU: one thread of user space reads them all */
	/* Whose data is looked at, since it may follow unsolicited SYN-ACKs: tfo_alarm_bit(). */
	__u64 monitor_alarm;
	__u32 pool_side[TFO_MAX_POOLS];
};

/* Written once per set of maps, read by whoever adopts it. */
struct tfo_meta {
	__u32 abi; /* TFO_ABI_VERSION of the writer */
	__u32 reasons; /* TFO_REASON_COUNT of the writer */
	__u32 slots; /* entries of the counters map, slot 0 included */
	__u32 counters_size; /* sizeof(struct tfo_counters) of the writer */
	char build[TFO_NAME_LEN]; /* version of the writer */
	__u32 guard_layout; /* TFO_GUARD_LAYOUT of the writer */
};

/* Who owns a counter slot: kept across reload, restart and upgrade. Empty: free. */
struct tfo_slot_name {
	char name[TFO_NAME_LEN];
};

#define TFO_DECAP_IPIP 1 /* IPv4 or IPv6 in IPv4 or IPv6 (protocols 4 and 41) */
#define TFO_DECAP_GUE 2 /* Generic UDP Encapsulation, variants 0 and 1 */

/* Fixed for one load of the program: read-only data, dead branches are removed by the verifier. */
struct tfo_load_config {
	__u32 ifindex; /* of the interface it is loaded for; 0 in tests */
	__u8 l3_device; /* frames start with the IP header (tun), not with Ethernet */
	__u8 decap; /* TFO_DECAP_* that are looked into, one level */
	__u8 count_other; /* count TFO_OTHER too (replay); live it is not worth its nanosecond */
	__u8 every_vip; /* the VIP (::, any port) stands for every destination (replay) */
	__be16 gue_port; /* UDP destination port of GUE, network order */
	__u8 trace; /* leave struct tfo_trace behind (replay) */
	__u8 partial; /* packets may come with unfinished checksums: veth, virtio, tap */
	__u8 guard; /* some VIP has its guard on; at 0 no packet pays for it */
	__u8 monitor; /* TFO_MONITOR_*; at 0 no packet pays for it */
	__u8 monitor_only; /* egress: the SYN-ACKs that leave say nothing to the guard */
	__u8 pad;
};

/* What the last packet came to, for a load that asks for it. Not shared: each load has its own. */
struct tfo_trace {
	__u32 reason; /* enum tfo_reason */
	__u32 slot; /* of the counters that it was counted in */
	__u8 option; /* enum tfo_option_kind */
	__u8 data; /* 1: the segment carries data */
	__u8 verdict; /* enum tfo_action, what was done */
	__u8 would; /* enum tfo_action, what enforce would have done */
	__u32 pad;
};

TFO_STATIC_ASSERT(sizeof(struct tfo_generation) == 32, "two generations fill a cache line");
TFO_STATIC_ASSERT(sizeof(struct tfo_vip) == 32, "two VIP rows fill a cache line");
TFO_STATIC_ASSERT(sizeof(struct tfo_load_config) == 16, "no hidden padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_policy) == 16, "no hidden padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_trigger) == 64, "one cache line");
TFO_STATIC_ASSERT(sizeof(struct tfo_ring) == 32 + 32 * TFO_MAX_GENERATIONS, "no padding");

#include "tfo_guard_abi.h"
#include "tfo_monitor_abi.h"

#endif /* TFO_ABI_H */
