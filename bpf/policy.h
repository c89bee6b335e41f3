/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: what is done with a SYN to a VIP, from its reason, what the guard says, and what the
 * VIP asks for. In this order:
 *
 *  - Data without a Fast Open option passes or is dropped (`on_data`). There is nothing to demote:
 *    Linux ignores such data, and its client that is told to send it (TCP_FASTOPEN_NO_COOKIE) sends
 *    its retransmission bare, so that a drop costs it a second.
 *  - An invalid cookie, or one of a length that Linux does not mint, passes, is demoted or dropped
 *    (`on_invalid`). Dropped only while too many of them come (trigger.h), and only if a valid one
 *    was seen lately; else `drop` demotes.
 *  - A revoked cookie is demoted. It was honest once, so it never counts as one too many.
 *  - A valid cookie is demoted where the guard says so. Over its limit, or denied, as fast as
 *    `unproven_rate` allows, and dropped beyond, since a demoted SYN is half-open at the server.
 *    Half of the rate is kept for what the guard gives each network for its own, which may use the
 *    other half, too: those who are few among many come through, and very many networks fill no
 *    queue. A duplicate always, unless its first was such a one: that may have been dropped.
 *  - Else it is renewed if some server would refuse it: servers hold two keys and validators up to
 *    sixteen (rewrite.h).
 *
 * Nothing is done for a cookie's sake once the ring may have missed a change (tfo_is_fresh): the
 * keys that it lacks would make honest cookies look invalid. The guard needs no such fence: whoever
 * made its case came with a valid cookie.
 *
 * No rewriting survives a signature (TCP-AO, TCP-MD5): what would be renewed passes, what would be
 * demoted is dropped, or passes if the VIP says that such clients are its own.
 */
#ifndef TFO_POLICY_H
#define TFO_POLICY_H

#include "rewrite.h"
#include "trigger.h"

/* With an action: only for a SYN that comes a second time, else it is dropped. */
#define TFO_IF_RETRIED 8

/* What a decision rests on besides the VIP. */
struct tfo_facts {
	__u64 now_ns;
	int reason; /* enum tfo_reason */
	int guard; /* enum tfo_guard_answer, TFO_GUARD_OWN */
	int renewable; /* tfo_may_renew(), and there is a target */
	int is_signed; /* a signature covers the segment */
	int fresh; /* tfo_is_fresh() */
};

/* A SYN that its VIP's policy concerns. */
struct tfo_case {
	struct tfo_site site;
	__u8 reason; /* enum tfo_reason */
	__u8 guard; /* enum tfo_guard_answer, TFO_GUARD_OWN */
	__u8 may_renew; /* tfo_may_renew() */
};

tfo_inline void tfo_case_of(struct tfo_case *what, const struct tfo_packet *p, int reason)
{
	tfo_site_of(&what->site, p);
	what->reason = reason;
	what->guard = p->guard;
	what->may_renew = p->would == TFO_RENEW;
}

/* The reasons of a cookie that some key made which is not revoked. */
tfo_inline int tfo_is_accepted(int reason)
{
	return reason == TFO_COOKIE_CURRENT || reason == TFO_COOKIE_STAGED ||
	       reason == TFO_COOKIE_PREVIOUS || reason == TFO_COOKIE_RETIRED;
}

/* Is this a cookie to renew, if there is a key to renew it to? Decides for nearly all of them. */
tfo_inline int tfo_may_renew(const struct tfo_packet *p, int reason, const struct tfo_ring *ring)
{
	return p->flags & TFO_VIP_RENEW && ring->renew >> (p->generation & 15) & 1 &&
	       tfo_is_accepted(reason);
}

/* The generation that cookies are renewed to at this time, or NULL: then nothing is renewed. */
tfo_inline const struct tfo_generation *tfo_renew_target(const struct tfo_ring *ring, __u64 now_ns)
{
	const struct tfo_generation *target;

	if (now_ns > ring->renew_until_ns || ring->target >= ring->count ||
	    ring->target >= TFO_MAX_GENERATIONS)
		return 0;
	target = &ring->generation[ring->target & (TFO_MAX_GENERATIONS - 1)];
	return target->place >= TFO_PLACE_REVOKED || target->not_after_ns < now_ns ? 0 : target;
}

/* Is what this ring says of cookies that it does not know still the farm's word? */
tfo_inline int tfo_is_fresh(const struct tfo_ring *ring, __u64 now_ns)
{
	return now_ns <= ring->fresh_until_ns;
}

/* All but is_signed; `renewable` as far as the generation goes. */
tfo_inline void tfo_facts_of(struct tfo_facts *facts, const struct tfo_case *what,
			     const struct tfo_ring *ring, __u64 now_ns)
{
	*facts = (struct tfo_facts){
		.now_ns = now_ns,
		.reason = what->reason,
		.guard = what->guard,
		.renewable = what->may_renew,
		.is_signed = 0,
		.fresh = tfo_is_fresh(ring, now_ns),
	};
}

/*
 * Could a SYN of this reason meet more than its pass, the guard and renewal aside? Decides for
 * nearly all SYNs of a VIP: its flags say what its policy asks about.
 */
tfo_inline int tfo_concerns_policy(__u8 flags, int reason)
{
	switch (reason) {
	case TFO_COOKIE_REVOKED:
		return 1;
	case TFO_COOKIE_INVALID:
	case TFO_COOKIE_LENGTH:
	case TFO_DATA_NO_OPTION:
		return flags & (TFO_VIP_POLICY | TFO_VIP_RETRY);
	case TFO_PLAIN:
	case TFO_REQUEST:
	case TFO_OPTION_IGNORED:
		return flags & TFO_VIP_RETRY;
	}
	return 0;
}

/* A cookie that no accepted key made. */
tfo_inline int tfo_decide_refused(const struct tfo_policy *policy, struct tfo_trigger *trigger,
				  const struct tfo_facts *facts)
{
	int many;

	if (!facts->fresh)
		return TFO_PASS;
	if (facts->reason == TFO_COOKIE_REVOKED)
		return TFO_DEMOTE;
	if (policy->on_invalid != TFO_DROP)
		return policy->on_invalid;
	many = tfo_trigger_on(&trigger->invalid, &trigger->dropping_until_ns, policy->drop_above,
			      facts->now_ns);
	return tfo_is_armed(trigger, many, facts->now_ns) && many ? TFO_DROP : TFO_DEMOTE;
}

/* The decision by what the SYN holds, signatures and floods left out. */
tfo_inline int tfo_decide_cookie(const struct tfo_policy *policy, struct tfo_trigger *trigger,
				 const struct tfo_facts *facts)
{
	switch (facts->reason) {
	case TFO_DATA_NO_OPTION:
		return policy->on_data;
	case TFO_COOKIE_INVALID:
	case TFO_COOKIE_LENGTH:
	case TFO_COOKIE_REVOKED:
		return tfo_decide_refused(policy, trigger, facts);
	}
	if (!tfo_is_accepted(facts->reason))
		return TFO_PASS;
	if (facts->guard != TFO_GUARD_OK)
		return TFO_DEMOTE;
	return facts->renewable ? TFO_RENEW : TFO_PASS;
}

/* What remains of an action on a packet that must not be rewritten, or that no rewriting helps. */
tfo_inline int tfo_spare(const struct tfo_policy *policy, const struct tfo_facts *facts, int would)
{
	if (would == TFO_DEMOTE && policy->flags & TFO_POLICY_NO_DEMOTE)
		return TFO_PASS;
	if (!facts->is_signed || would == TFO_DROP)
		return would;
	if (would == TFO_DEMOTE && !(policy->flags & TFO_POLICY_SIGNED))
		return TFO_DROP;
	return TFO_PASS;
}

/* Does this SYN leave something half-open at the server that no cookie vouches for? */
tfo_inline int tfo_is_unproven(const struct tfo_facts *facts, int would)
{
	switch (facts->reason) {
	case TFO_COOKIE_INVALID:
	case TFO_COOKIE_LENGTH:
	case TFO_COOKIE_REVOKED:
		return facts->fresh && would != TFO_DROP;
	case TFO_PLAIN:
	case TFO_REQUEST:
	case TFO_OPTION_IGNORED:
	case TFO_DATA_NO_OPTION:
		return would != TFO_DROP;
	}
	return would == TFO_DEMOTE;
}

/* Is what the guard says a demotion that is to cost the servers no more than they bear? */
tfo_inline int tfo_is_rationed(int guard)
{
	int answer = guard & ~TFO_GUARD_OWN;

	return answer == TFO_GUARD_OVER || answer == TFO_GUARD_DENIED ||
	       guard == (TFO_GUARD_DUPLICATE | TFO_GUARD_OWN);
}

/*
 * May such a demotion be? Together they stay within the rate, of which either half is at least one
 * a second for networks' own and one in two seconds for all. Copies have none of the former: one
 * network could send as many as it likes.
 */
tfo_inline int tfo_take_ration(const struct tfo_policy *policy, struct tfo_trigger *trigger,
			       const struct tfo_facts *facts)
{
	__u32 half = policy->unproven_rate / 2;

	return (facts->guard == (TFO_GUARD_OVER | TFO_GUARD_OWN) &&
		tfo_take_in_second(&trigger->own, half ?: 1, facts->now_ns)) ||
	       tfo_take_token(&trigger->token_ns, policy->unproven_ns * 2ULL, facts->now_ns);
}

/*
 * What enforcing does with the SYN: an action, with TFO_IF_RETRIED while the VIP is flooded with
 * such that prove nothing and its policy holds them back.
 */
tfo_inline int tfo_decide(const struct tfo_policy *policy, struct tfo_trigger *trigger,
			  const struct tfo_facts *facts)
{
	int would = tfo_spare(policy, facts, tfo_decide_cookie(policy, trigger, facts));

	if (policy->flags & TFO_POLICY_RETRY && tfo_is_unproven(facts, would) &&
	    tfo_trigger_on(&trigger->unproven, &trigger->flooded_until_ns, policy->unproven_rate,
			   facts->now_ns))
		return would | TFO_IF_RETRIED;
	if (would != TFO_DEMOTE || !tfo_is_rationed(facts->guard))
		return would;
	return tfo_take_ration(policy, trigger, facts) ? would : TFO_DROP;
}

/* The same for what tfo_decide() marked, once it is known whether the SYN came before. */
tfo_inline int tfo_decide_retried(const struct tfo_policy *policy, struct tfo_trigger *trigger,
				  const struct tfo_facts *facts, int would, int retried)
{
	return retried && tfo_take_token(&trigger->token_ns, policy->unproven_ns, facts->now_ns)
		       ? would & ~TFO_IF_RETRIED
		       : TFO_DROP;
}

/* What the mode that is in force for the client makes of what enforcing would do. */
tfo_inline __u8 tfo_verdict(__u8 mode, __u8 would)
{
	return mode == TFO_ENFORCE ? would : (__u8)TFO_PASS;
}

#endif /* TFO_POLICY_H */
