/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
#ifndef TFO_LISTENERS_H
#define TFO_LISTENERS_H

/* What tfo_listeners.bpf.c writes of each listening TCP socket. Numbers in host order. */

#include <linux/types.h>

#define TFO_LISTENER_KEYS 2 /* TCP_FASTOPEN_KEY_MAX of include/net/tcp.h */

struct tfo_listener_record {
	__u16 family; /* AF_INET, AF_INET6; 0: no more listeners follow, the rest is unset */
	__u16 port;
	__u32 backlog; /* sk_max_ack_backlog: listen()'s, cut to somaxconn */
	__u32 accept_queue; /* sk_ack_backlog: connections that wait for accept() */
	__u32 fastopen_limit; /* fastopenq.max_qlen; 0: this listener takes no Fast Open */
	__u32 fastopen_pending; /* fastopenq.qlen */
	__u32 own_keys; /* 0: the namespace's; else how many keys of its own it has */
	__u8 address[16]; /* network order; IPv4 in the first four bytes */
	/* TCP_FASTOPEN_KEY: each key's bytes as two little-endian numbers (siphash_key_t). Secret!
	 */
	__u64 keys[TFO_LISTENER_KEYS][2];
};

#endif
