// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * An iterator over the TCP sockets of the network namespace in which it is opened: what no system
 * call tells about somebody else's listener, namely the length of its Fast Open queue and whether
 * it has keys of its own (TCP_FASTOPEN_KEY). It reads; nothing is changed, and no packet is sent.
 *
 * The kernel walks the listeners before the connections (bpf_iter_tcp in net/ipv4/tcp_ipv4.c), so
 * the first connection ends the list and the reader can stop there.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "tfo_listeners.h"

#define AF_INET 2
#define AF_INET6 10
#define TCP_LISTEN 10 /* include/net/tcp_states.h */

/* Members of the kernel's structures that are looked at; where they lie is found at load time. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__be32 skc_rcv_saddr;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
};

struct inet_sock {
	struct sock sk;
};

typedef struct {
	__u64 key[2];
} siphash_key_t;

struct tcp_fastopen_context {
	siphash_key_t key[TFO_LISTENER_KEYS];
	int num;
};

struct fastopen_queue {
	int qlen;
	int max_qlen;
	struct tcp_fastopen_context *ctx;
};

struct request_sock_queue {
	struct fastopen_queue fastopenq;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

#pragma clang attribute pop

/* The address that it listens on; all zero: any. */
static __always_inline void put_address(struct tfo_listener_record *out, struct sock_common *common)
{
	if (out->family == AF_INET) {
		__be32 address = common->skc_rcv_saddr;

		__builtin_memcpy(out->address, &address, sizeof(address));
	} else {
		bpf_core_read(out->address, sizeof(out->address),
			      &common->skc_v6_rcv_saddr.in6_u.u6_addr8);
	}
}

static __always_inline void put_fast_open(struct tfo_listener_record *out, struct tcp_sock *tcp)
{
	struct tcp_fastopen_context *ctx;

	out->fastopen_limit = tcp->inet_conn.icsk_accept_queue.fastopenq.max_qlen;
	out->fastopen_pending = tcp->inet_conn.icsk_accept_queue.fastopenq.qlen;
	/* The iterator holds the socket's lock, and TCP_FASTOPEN_KEY takes it: these stay. */
	ctx = tcp->inet_conn.icsk_accept_queue.fastopenq.ctx;
	if (!ctx)
		return;
	bpf_core_read(&out->own_keys, sizeof(out->own_keys), &ctx->num);
	bpf_core_read(out->keys, sizeof(out->keys), &ctx->key);
}

SEC("iter/tcp")
int tfo_listeners(struct bpf_iter__tcp *ctx)
{
	struct tfo_listener_record out = {};
	struct sock_common *common = ctx->sk_common;
	struct seq_file *seq = ctx->meta->seq;
	struct tcp_sock *tcp;

	if (!common)
		return 0;
	if (common->skc_state != TCP_LISTEN)
		goto write;
	tcp = bpf_skc_to_tcp_sock(common);
	if (!tcp)
		return 0;
	out.family = common->skc_family;
	out.port = common->skc_num;
	out.backlog = tcp->inet_conn.icsk_inet.sk.sk_max_ack_backlog;
	out.accept_queue = tcp->inet_conn.icsk_inet.sk.sk_ack_backlog;
	put_address(&out, common);
	put_fast_open(&out, tcp);
write:
	bpf_seq_write(seq, &out, sizeof(out));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
