/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The guard's part of tfo_abi.h, which includes it: nobody else does. */
#ifndef TFO_GUARD_ABI_H
#define TFO_GUARD_ABI_H

/*
 * The guard: how many handshakes with a valid cookie each client network holds open. Its clock has
 * two hands, cut from boot time without a division: ticks of 2^20 ns (1.05 ms), and buckets, 15 of
 * which are 2^17 ticks (9.16 s each). Both wrap; differences are taken modulo 2^32.
 */
#define TFO_TICK_SHIFT 20
#define TFO_BUCKET_FACTOR 15
#define TFO_BUCKET_SHIFT 17
#define TFO_BUCKET_NS ((1ULL << (TFO_TICK_SHIFT + TFO_BUCKET_SHIFT)) / TFO_BUCKET_FACTOR)
#define TFO_BUCKETS 16
/*
 * Nothing is forgotten before the kernel does: who is over the limit would fill the queue anew
 * while it still holds the old ones. A silent child is held for 127 s and what the kernel's timers
 * are late, up to 2 s each of the longer ones (calc_wheel_index); after a RST the place for 60 s.
 */
#define TFO_PENDING_BUCKETS 16 /* 137 to 147 s */
#define TFO_RESET_BUCKETS 8 /* 64 to 74 s */

/* Of loads, handshakes and settings, and of what they mean; a change raises it. */
#define TFO_GUARD_LAYOUT 1

/* Whose load it is. IPv4 has no site. */
enum tfo_guard_level {
	TFO_LEVEL_ADDRESS = 0,
	TFO_LEVEL_NETWORK = 1, /* /24 or /64 */
	TFO_LEVEL_SITE = 2, /* /48 */
	TFO_LEVEL_VIP = 3,
	TFO_LEVELS
};

#define TFO_GUARD_ON 1
#define TFO_GUARD_COUNT_OPENS 2 /* guard_evaded: what a network opened counts, settled or not */
#define TFO_GUARD_EXACT 4 /* only the ACK of a SYN-ACK that we saw leave settles */
#define TFO_GUARD_OVERFLOW 8 /* servers' queues were full lately: blindness is not believed */

/* Settings of one slot's guard, written by user space at any time. */
struct tfo_guard {
	/*
	 * The load from which a SYN is over the limit; 0: no limit. That of TFO_LEVEL_VIP is the
	 * cap: from there on the other limits fall, to half and further; from one and a half of it
	 * networks that never settled a handshake are over it, and from one and three quarters of
	 * it everybody is.
	 */
	__u32 limit[TFO_LEVELS];
	__u32 opens; /* most that one client network may open in a bucket; 0: no limit */
	__u32 duplicate_ticks; /* how long a SYN with data is remembered; 0: not looked at */
	__u32 flags; /* TFO_GUARD_* */
	__u32 pad;
};

/* What the guard says of a SYN with a valid cookie. */
enum tfo_guard_answer {
	TFO_GUARD_OK = 0,
	TFO_GUARD_OVER = 1, /* a client network is over its limit */
	TFO_GUARD_DUPLICATE = 2, /* the same SYN data again: a copy */
	TFO_GUARD_DENIED = 3, /* by the operator */
	TFO_GUARD_ANSWERS
};

/*
 * With TFO_GUARD_OVER: this demotion is the network's own, which has a ration of its own. With
 * TFO_GUARD_DUPLICATE: so was that of the first, which nobody has answered.
 */
#define TFO_GUARD_OWN 4
#define TFO_OWN_DEMOTIONS 2 /* so many has each client network in a bucket */

/* X(id, NAME, label, sentence): how a handshake that a valid cookie opened came out. */
#define TFO_OUTCOMES(X)                                                                            \
	X(0, ACCEPTED, "accepted", "Acknowledged, the data of the SYN with it")                    \
	X(1, NOT_ACCEPTED, "not_accepted", "Acknowledged, but not the data of the SYN")            \
	X(2, OPENED, "opened", "Acknowledged; the SYN carried no data")                            \
	X(3, RESET, "reset", "Answered by a RST")                                                  \
	X(4, UNREACHABLE, "unreachable",                                                           \
	  "An ICMP destination unreachable came for it; another outcome may follow")               \
	X(5, TIMEOUT, "timeout", "Not answered within two minutes")

enum tfo_outcome {
#define TFO_OUTCOME_ENUM(id, name, label, sentence) TFO_OUTCOME_##name = id,
	TFO_OUTCOMES(TFO_OUTCOME_ENUM)
#undef TFO_OUTCOME_ENUM
		TFO_OUTCOME_COUNT
};

/*
 * Bucket b of the time from SYN to ACK ends below 2^(b + 3) ticks (8.4 ms, 16.8 ms ... 8.6 s), the
 * last one never. The clock of struct tfo_control moves in steps of 10 ms.
 */
#define TFO_RTT_BUCKETS 12

/*
 * The guard's counters of one slot, per CPU, and what older sets of maps counted. New ones come
 * last, so that those of an older layout are a beginning of these.
 */
struct tfo_guard_counters {
	__u64 outcome[TFO_OUTCOME_COUNT];
	__u64 rtt[TFO_RTT_BUCKETS]; /* not cumulative */
	__u64 rtt_ticks; /* sum of all of them */
	__u64 answer[TFO_GUARD_ANSWERS]; /* SYNs by what the guard said of them */
	__u64 over[TFO_LEVELS]; /* of those over a limit: whose it was */
	__u64 held; /* over a limit, not held against them: guard_blind */
	__u64 events_lost; /* the ring of events was full */
	__u64 spared; /* of those over, denied or copies: let through, as the policy wants it */
	__u64 answers; /* SYN-ACKs to pending handshakes that were seen to leave */
};

enum tfo_handshake_state {
	TFO_HANDSHAKE_NONE = 0,
	TFO_HANDSHAKE_PENDING = 1,
	TFO_HANDSHAKE_SETTLED = 2, /* kept for the duplicate check */
	/* Its SYN was demoted, or asked for a cookie: counts for nothing, its ACK is a proof. */
	TFO_HANDSHAKE_TRIAL = 3,
	TFO_HANDSHAKE_TRIED = 4, /* and that came */
};

/*
 * A handshake that a valid cookie opened. `word`: fingerprint of the tuple (32 bits), length of the
 * SYN's data (16), state (8), TFO_HANDSHAKE_* flags (8), from the highest bit down. Changed by
 * compare and exchange, so that of two CPUs one settles it.
 */
struct tfo_handshake {
	__u64 word;
	__u32 isn; /* host order */
	__u32 opened; /* tick */
	__u32 server_isn; /* host order; with TFO_HANDSHAKE_ANSWERED */
	__u16 slot;
	__u16 pad;
	__u64 reserved;
};

#define TFO_HANDSHAKE_ANSWERED 1 /* the SYN-ACK was seen to leave */
#define TFO_HANDSHAKE_FINER 2 /* counted for the levels below the coarsest, too */
#define TFO_HANDSHAKE_DATA 4 /* its SYN carried data, of whatever length */
#define TFO_HANDSHAKE_PART 8 /* ... of which the length is only the first fragment's */
#define TFO_HANDSHAKE_REFUSED 16 /* the SYN-ACK seen did not acknowledge the data */
#define TFO_HANDSHAKE_UNREACHABLE 32 /* an ICMP error for it was counted */

struct tfo_handshake_set {
	struct tfo_handshake way[2];
};

/*
 * The load of one client network at one VIP, or of the VIP: what every SYN touches. Found by its
 * tag, a 64-bit hash. Pending = opened - gone.
 */
struct tfo_guard_head {
	__u64 tag; /* its slot << TFO_TAG_SLOT_SHIFT | hash; 0: free */
	__u32 opened;
	__u32 gone; /* settled, reset or expired */
	__u32 resets; /* within TFO_RESET_BUCKETS */
	__u32 epoch; /* the bucket it was brought up to (low 28 bits), TFO_HEAD_* */
	__u32 mark; /* `opened` when that bucket began */
	__u32 window; /* `opened` when the oldest bucket began */
};

#define TFO_TAG_SLOT_SHIFT 48
#define TFO_EPOCH_MASK 0x0fffffffU
#define TFO_HEAD_GUARDED 0x80000000U /* over its limit, and not yet down to half of it */
#define TFO_HEAD_RING 0x40000000U /* its row's buckets are in use */
#define TFO_HEAD_PROVEN 0x20000000U /* it has settled a handshake: see tfo_is_closed() */
#define TFO_HEAD_LAPSED 0x10000000U /* it had, and was silent since: see tfo_load_bring_up() */

struct tfo_guard_heads {
	struct tfo_guard_head way[2];
};

/*
 * The rest of a load, by the number of its head (set * 2 + way): the buckets, and once it is or was
 * guarded whose it is. Stale until TFO_HEAD_RING is set.
 */
struct tfo_guard_row {
	__u8 prefix[16]; /* as in struct tfo_vip.address, host bits 0 */
	__u16 slot;
	__u8 level; /* enum tfo_guard_level */
	__u8 pad;
	__u32 since; /* tick of the last entering or leaving */
	__u32 limit; /* that was in force then */
	__u32 over; /* SYNs over the limit since then */
	__u32 opened[TFO_BUCKETS];
	__u32 settled[TFO_BUCKETS]; /* resets included */
	__u32 reset[TFO_BUCKETS];
	__u32 demoted; /* tfo_take_own(): bucket << 2 | demotions of its own in it */
	__u32 owner; /* of `demoted`: bits 16 to 47 of the head's tag */
	__u32 tried; /* a VIP's: second (16 bits) | requests put on trial in it */
	__u32 reserved[5];
};

/* A VIP's own load, by slot. */
struct tfo_guard_vip {
	struct tfo_guard_head head;
	__u32 settled_epoch; /* the bucket of the last ACK that settled anything */
	__u32 blind_epoch; /* the bucket in which most networks were last found silent; 0: never */
	__u32 judged; /* in this bucket: networks that opened 4 or more in the last one and ... */
	__u32 silent; /* ... settled less than half of them; who never settled any is not asked */
	__u32 was_opened; /* by all, in the bucket that is being judged */
	__u32 was_settled;
	/* Counted here, in the line that a SYN writes anyway; both wrap. */
	__u32 forgotten; /* handshakes that made place for younger ones, of whatever VIP */
	__u32 untracked; /* SYNs whose network found no row */
	struct tfo_guard_row row;
};

/* The operator's list: key of a longest-prefix match; IPv4 mapped, so its lengths are 96 to 128. */
struct tfo_guard_list_key {
	__u32 length;
	__u8 prefix[16];
};
struct tfo_guard_list_entry {
	__u64 until_ns; /* boot time; later the entry means nothing */
	__u32 verdict; /* enum tfo_guard_list_verdict */
	__u32 length; /* of its key: what the next shorter entry is looked for with; 0: not */
};
enum tfo_guard_list_verdict { TFO_LIST_DENY = 1, TFO_LIST_ALLOW = 2 };

enum tfo_guard_event_kind { TFO_GUARD_ENTERED = 1, TFO_GUARD_LEFT = 2 };

/* A client network came over its limit, or down to half of it. */
struct tfo_guard_event {
	__u64 time_ns; /* boot time */
	__u8 prefix[16];
	__u16 slot;
	__u8 level;
	__u8 kind; /* enum tfo_guard_event_kind */
	__u32 load;
	__u32 limit;
	__u32 pad;
};

/*
 * SYNs seen while a VIP takes retransmissions only: each word the hash of tuple and ISN (44 bits)
 * and the time (20 bits of ticks * 8), one set a cache line.
 */
struct tfo_retry_set {
	__u64 seen[8];
};

TFO_STATIC_ASSERT(sizeof(struct tfo_guard) == 32, "no padding");
TFO_STATIC_ASSERT(sizeof(struct tfo_handshake_set) == 64, "a set fills a cache line");
TFO_STATIC_ASSERT(sizeof(struct tfo_guard_heads) == 64, "a set fills a cache line");
TFO_STATIC_ASSERT(sizeof(struct tfo_guard_row) == 256, "rows begin cache lines");
TFO_STATIC_ASSERT(sizeof(struct tfo_guard_vip) == 320, "rows begin cache lines");

#endif /* TFO_GUARD_ABI_H */
