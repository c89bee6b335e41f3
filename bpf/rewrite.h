/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: what becomes of a Fast Open option, and the TCP checksum with it: another cookie in
 * its place (renew), or a request for one (demote).
 *
 * Sums are taken of 16-bit words as they lie in memory; RFC 1071 section 2(B) says that the result
 * is the same in either byte order, so nothing is swapped but what lies at an odd offset.
 *
 * A UDP checksum around the packet (GUE) stays right by itself: the new TCP checksum takes away
 * what the new cookie adds, so the sum over the inner segment is the same as before.
 */
#ifndef TFO_REWRITE_H
#define TFO_REWRITE_H

#include "cookie.h"
#include "parse.h"
#include "tcpopt.h"

#define TFO_TCPOPT_MD5 19 /* RFC 2385 */
#define TFO_TCPOPT_AO 29 /* RFC 5925 */
#define TFO_TCP_CHECKSUM 16 /* offset in the TCP header */

/* The one's complement sum of words that were added up (RFC 1071). */
tfo_inline __u16 tfo_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Eight bytes as a part of such a sum. */
tfo_inline __u64 tfo_sum64(__u64 bytes)
{
	return (bytes & 0xffffffff) + (bytes >> 32);
}

/*
 * The checksum after the bytes `from` became `to` (RFC 1624 equation 3); all as they lie in memory.
 * `odd`: they begin at an odd offset of what is summed.
 */
tfo_inline __u16 tfo_checksum_replace(__u16 checksum, __u64 from, __u64 to, int odd)
{
	__u16 change = tfo_fold(tfo_sum64(~from) + tfo_sum64(to));

	if (odd)
		change = __builtin_bswap16(change);
	return ~tfo_fold((__u64)(__u16)~checksum + change);
}

/* The sum over the pseudo-header of a segment of `len` bytes (RFC 9293 section 3.1). */
tfo_inline __u16 tfo_pseudo_sum(const struct tfo_flow *flow, __u16 len)
{
	__u64 sum = tfo_be16(TFO_IPPROTO_TCP) + tfo_be16(len) + tfo_sum64(flow->word[0]);

	if (flow->family != 4)
		sum += tfo_sum64(flow->word[1]) + tfo_sum64(flow->word[2]) +
		       tfo_sum64(flow->word[3]);
	return tfo_fold(sum);
}

/* Where a cookie stands, in what a BPF global function can be given: no hole, and small. */
struct tfo_site {
	__u32 segment; /* bytes of the TCP segment; 0: unknown, the packet is a fragment */
	__u16 tcp; /* offset of the TCP header in the frame */
	__u16 option; /* offset of the option that holds the cookie in the frame, 0: there is none
		       */
	__u16 cookie; /* offset of the cookie in the frame */
	__u8 options; /* bytes of options, 0..40 */
	__u8 cookie_len; /* bytes of cookie, 0..16 */
};

tfo_inline void tfo_site_of(struct tfo_site *site, const struct tfo_packet *p)
{
	site->tcp = p->tcp;
	site->cookie = p->option + tfo_option_base(p->option_kind);
	site->options = p->header_len - TFO_TCP_LEN;
	site->segment = p->first_fragment ? 0 : p->ip_end - p->tcp;
	site->option = p->option;
	site->cookie_len = p->cookie_len;
}

/*
 * The sender's stack left the checksum to a device that the packet never met (CHECKSUM_PARTIAL):
 * the field holds the pseudo-header's sum (__tcp_v4_send_check), and whoever completes it will see
 * the bytes as they are then. Fragments are always complete (skb_checksum_help). One real checksum
 * in 65,536 looks the same, so ask only where such packets occur.
 */
tfo_inline int tfo_is_partial(const struct tfo_site *site, const struct tfo_flow *flow,
			      __u16 checksum)
{
	return site->segment && checksum == tfo_pseudo_sum(flow, site->segment);
}

/*
 * Does a signature cover the segment, which no rewriting survives? An option of either kind counts,
 * whatever its length. The shape is that of tfo_walk_options().
 */
tfo_inline int tfo_is_signed(const __u8 *options, const __u8 *end, __u32 len)
{
	__u32 offset = 0;
	int i;

	for (i = 0; i < TFO_TCPOPT_SPACE; i++) {
		const __u8 *option = options + offset;

		if (offset >= len || option + 2 > end || option[0] == TFO_TCPOPT_EOL)
			break;
		if (option[0] == TFO_TCPOPT_MD5 || option[0] == TFO_TCPOPT_AO)
			return 1;
		if (option[0] == TFO_TCPOPT_NOP) {
			offset = (offset + 1) & 63;
			continue;
		}
		if (option[1] < 2)
			break;
		offset = (offset + option[1]) & 63;
	}
	return 0;
}

/*
 * Puts another cookie at the site. `partial`: may packets come with unfinished checksums? Returns
 * 0, with nothing changed, if the bytes are not in reach.
 */
tfo_inline int tfo_put_cookie(const struct tfo_frame *frame, const struct tfo_site *site,
			      const struct tfo_flow *flow, __u64 cookie, int partial)
{
	__u8 *at = (__u8 *)tfo_at(frame, site->cookie & TFO_HEADERS, TFO_COOKIE_LEN);
	__u8 *tcp = (__u8 *)tfo_at(frame, site->tcp & TFO_HEADERS, TFO_TCP_LEN);
	__u16 checksum;

	if (!at || !tcp)
		return 0;
	checksum = tfo_load16(tcp + TFO_TCP_CHECKSUM);
	if (!partial || !tfo_is_partial(site, flow, checksum))
		tfo_store16(tcp + TFO_TCP_CHECKSUM,
			    tfo_checksum_replace(checksum, tfo_load64(at), cookie,
						 (site->cookie - site->tcp) & 1));
	tfo_store64(at, cookie);
	return 1;
}

#define TFO_NOPS 0x0101 /* two options without meaning (RFC 9293 section 3.1) */

/* The words of 16 bits of an option that holds a cookie, its head included. */
#define TFO_OPTION_WORDS ((4 + 16) / 2)

/*
 * Makes the option at the site a request: its length shrinks to that of its head, and what was the
 * cookie becomes NOPs. The kernel's parser took this option for the last that counts; what stands
 * before it goes on not to count, and what stands behind is of odd length, which changes nothing.
 * So it ends with a request of the same kind, whatever else the header holds. Arguments and result
 * as of tfo_put_cookie().
 */
tfo_inline int tfo_put_request(const struct tfo_frame *frame, const struct tfo_site *site,
			       const struct tfo_flow *flow, int partial)
{
	__u8 *option = (__u8 *)tfo_at(frame, site->option & TFO_HEADERS, 2);
	__u8 *tcp = (__u8 *)tfo_at(frame, site->tcp & TFO_HEADERS, TFO_TCP_LEN);
	__u32 head = site->cookie - site->option, i;
	__u16 checksum, change;
	__u64 sum;

	/* The last word is in reach, so all are. */
	if (!option || !tcp || (head != 2 && head != 4) || site->cookie_len > 16 ||
	    !tfo_at(frame, (site->option & TFO_HEADERS) + head + site->cookie_len - 2, 2))
		return 0;
	checksum = tfo_load16(tcp + TFO_TCP_CHECKSUM);
	partial = partial && tfo_is_partial(site, flow, checksum);
	sum = (__u16)~tfo_load16(option);
	option[1] = head;
	sum += tfo_load16(option);
	for (i = 1; i < TFO_OPTION_WORDS; i++) {
		__u8 *word = option + i * 2;

		if (word + 2 > frame->end || i * 2 >= head + site->cookie_len)
			break;
		if (i * 2 < head)
			continue;
		sum += (__u16)~tfo_load16(word) + TFO_NOPS;
		tfo_store16(word, TFO_NOPS);
	}
	change = tfo_fold(sum);
	if ((site->option - site->tcp) & 1)
		change = __builtin_bswap16(change);
	if (!partial)
		tfo_store16(tcp + TFO_TCP_CHECKSUM, ~tfo_fold((__u64)(__u16)~checksum + change));
	return 1;
}

#endif /* TFO_REWRITE_H */
