/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the flood's generator and its BPF program share. IPv4 only. */
#ifndef TFO_FLOOD_H
#define TFO_FLOOD_H

#include <linux/types.h>

#define FLOOD_OPTIONS 12 /* bytes of TCP options of a SYN */
#define FLOOD_HEADERS (14 + 20 + 20 + FLOOD_OPTIONS)
#define FLOOD_DATA 32 /* bytes of data of a SYN that carries data */

enum flood_cookie { FLOOD_NO_OPTION, FLOOD_FORGED, FLOOD_VALID };

struct tfo_flood_config {
  /*
   * Everything that does not change, addresses, source port, sequence number, cookie and both
   * checksums zero. An ACK's IP packet is shorter than its frame, as padded ones are.
   */
  __u16 syn[FLOOD_HEADERS / 2];
  __u16 ack[FLOOD_HEADERS / 2];
  __u8 pad[4];
  /* Sums of 16-bit words as they lie in memory, not folded: of the IP header, and of the TCP
   * segment with its pseudo-header. */
  __u32 syn_ip_sum, syn_tcp_sum, ack_ip_sum, ack_tcp_sum;
  __u32 source;       /* host order: the first /24 that sources come from */
  __u32 prefixes;     /* /24s, at least 1 */
  __u32 hosts;        /* in each, 1..254 */
  __u32 destination;  /* host order: the first address */
  __u32 destinations; /* addresses, at least 1 */
  __u32 cookie;       /* enum flood_cookie */
  __u32 data;         /* 0, or FLOOD_DATA */
  __u32 ack_lag; /* 0: SYNs alone; else an ACK follows so many SYNs later, with a guessed number */
  __u64 k0, k1;  /* of the key of FLOOD_VALID */
  __u64 seed;    /* of all that is random */
};

#endif /* TFO_FLOOD_H */
