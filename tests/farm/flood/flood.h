/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the flood's generator and its BPF program share. */
#ifndef TFO_FLOOD_H
#define TFO_FLOOD_H

#include <linux/types.h>

#define FLOOD_OPTIONS 12                             /* bytes of TCP options of a SYN */
#define FLOOD_HEADERS (14 + 40 + 20 + FLOOD_OPTIONS) /* at most: IPv6 */
#define FLOOD_DATA 32                                /* bytes of data of a SYN that carries data */

enum flood_cookie { FLOOD_NO_OPTION, FLOOD_FORGED, FLOOD_VALID };

struct tfo_flood_config {
  /*
   * Everything that does not change, addresses, source port, sequence number, cookie and both
   * checksums zero. An answer's IP packet is shorter than its frame, as padded ones are.
   */
  __u16 syn[FLOOD_HEADERS / 2];
  __u16 answer[FLOOD_HEADERS / 2]; /* an ACK, or a RST */
  /* Sums of 16-bit words as they lie in memory, not folded: of the IPv4 header, and of the TCP
   * segment with its pseudo-header. */
  __u32 syn_ip_sum, syn_tcp_sum, answer_ip_sum, answer_tcp_sum;
  __u32 v6;
  __u32 headers;   /* bytes of a SYN's */
  __u32 source[4]; /* words in host order, one of them for IPv4: the first network of sources */
  __u32 prefixes;  /* /24s, or /48s of one /64 each, at least 1 */
  __u32 hosts;     /* in each, 1..254 */
  __u32 destination[4];
  __u32 destinations; /* addresses, at least 1 */
  __u32 cookie;       /* enum flood_cookie */
  __u32 data;         /* 0, or FLOOD_DATA */
  __u32 lag;          /* 0: SYNs alone; else an answer follows so many SYNs later */
  __u32 guess;        /* answers have an acknowledgement number, guessed */
  __u32 tuples;       /* so many SYNs are sent again and again; 0: all differ */
  __u64 k0, k1;       /* of the key of FLOOD_VALID */
  __u64 seed;         /* of all that is random */
};

#endif /* TFO_FLOOD_H */
