// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Makes the frames of a flood, one a run, and sends each out of the interface that it is run for
 * (BPF_F_TEST_XDP_LIVE_FRAMES). The kernel hands out frames that have been used before, so every
 * byte of the headers is written anew.
 */
#include "flood.h"

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#include "bpf/siphash.h"

const volatile struct tfo_flood_config flood SEC(".rodata");

/* Frames made so far. One thread runs the program. */
__u64 flood_made;

static __always_inline __u64 mixed(__u64 x) {
  x += flood.seed;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

static __always_inline __u16 folded(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline __u64 sum32(__u32 word) { return (word & 0xffff) + (word >> 16); }

/* Word by word: clang takes what is read past a volatile for the zeros that it was declared with.
 */
static __always_inline void copy_headers(__u8 *frame, const volatile __u16 *from) {
  __u32 i;

#pragma unroll
  for (i = 0; i < FLOOD_HEADERS / 2; i++)
    if (i * 2 < flood.headers) *(__u16 *)(frame + i * 2) = from[i];
}

struct choice {
  __u32 source[4], destination[4], sequence; /* as they lie in memory; one word for IPv4 */
  __u16 port;
};

static __always_inline void choose(struct choice *c, __u64 number) {
  __u64 a, b;
  __u32 prefix, host, to, i;

  if (flood.tuples) number %= flood.tuples;
  a = mixed(number * 2);
  b = mixed(number * 2 + 1);
  prefix = (__u32)(a >> 32) % flood.prefixes;
  host = 1 + (__u32)a % flood.hosts;
  to = (__u32)(b >> 48) % flood.destinations;
#pragma unroll
  for (i = 0; i < 4; i++) {
    c->source[i] = __builtin_bswap32(flood.source[i] + (flood.v6 && i == 1 ? prefix << 16 : 0) +
                                     (i == (flood.v6 ? 3 : 0) ? host : 0) +
                                     (!flood.v6 && !i ? prefix << 8 : 0));
    c->destination[i] =
        __builtin_bswap32(flood.destination[i] + (i == (flood.v6 ? 3 : 0) ? to : 0));
  }
  c->sequence = b;
  c->port = __builtin_bswap16(1024 + (__u16)(b >> 32) % 64000);
}

static __always_inline void address(__u8 *frame, const struct choice *c, __u64 ip_sum) {
  __u32 i;

  if (flood.v6) {
#pragma unroll
    for (i = 0; i < 4; i++) {
      *(__u32 *)(frame + 22 + i * 4) = c->source[i];
      *(__u32 *)(frame + 38 + i * 4) = c->destination[i];
    }
    *(__u16 *)(frame + 54) = c->port;
    return;
  }
  *(__u32 *)(frame + 26) = c->source[0];
  *(__u32 *)(frame + 30) = c->destination[0];
  *(__u16 *)(frame + 34) = c->port;
  *(__u16 *)(frame + 24) = folded(ip_sum + sum32(c->source[0]) + sum32(c->destination[0]));
}

static __always_inline __u64 choice_sum(const struct choice *c, __u32 sequence) {
  __u64 sum = c->port + sum32(sequence);
  __u32 i;

#pragma unroll
  for (i = 0; i < 4; i++) sum += sum32(c->source[i]) + sum32(c->destination[i]);
  return sum;
}

static __always_inline __u64 valid_cookie(const struct choice *c) {
  __u64 path[4];
  __u32 i;

  if (!flood.v6)
    return tfo_siphash_8(flood.k0, flood.k1, c->source[0] | (__u64)c->destination[0] << 32);
#pragma unroll
  for (i = 0; i < 2; i++) {
    path[i] = c->source[i * 2] | (__u64)c->source[i * 2 + 1] << 32;
    path[2 + i] = c->destination[i * 2] | (__u64)c->destination[i * 2 + 1] << 32;
  }
  return tfo_siphash_32(flood.k0, flood.k1, path);
}

static __always_inline __u8 *tcp_of(__u8 *frame) { return frame + (flood.v6 ? 54 : 34); }

static __always_inline void make_syn(__u8 *frame, __u64 number) {
  __u64 cookie = 0, sum = flood.syn_tcp_sum;
  __u8 *tcp = tcp_of(frame);
  struct choice c;

  choose(&c, number);
  copy_headers(frame, flood.syn);
  address(frame, &c, flood.syn_ip_sum);
  *(__u32 *)(tcp + 4) = c.sequence;
  if (flood.cookie == FLOOD_FORGED)
    cookie = mixed(~number);
  else if (flood.cookie == FLOOD_VALID)
    cookie = valid_cookie(&c);
  if (flood.cookie != FLOOD_NO_OPTION) *(__u64 *)(tcp + 22) = cookie;
  sum += choice_sum(&c, c.sequence) + sum32(cookie) + sum32(cookie >> 32);
  *(__u16 *)(tcp + 16) = folded(sum);
}

/* The ACK that would end the handshake, if the server's number were known; or the RST that does. */
static __always_inline void make_answer(__u8 *frame, __u64 number) {
  __u32 guess = flood.guess ? mixed(~number) : 0, sequence;
  __u8 *tcp = tcp_of(frame);
  struct choice c;

  choose(&c, number);
  sequence = __builtin_bswap32(__builtin_bswap32(c.sequence) + 1 + flood.data);
  copy_headers(frame, flood.answer);
  address(frame, &c, flood.answer_ip_sum);
  *(__u32 *)(tcp + 4) = sequence;
  *(__u32 *)(tcp + 8) = guess;
  *(__u16 *)(tcp + 16) = folded(flood.answer_tcp_sum + choice_sum(&c, sequence) + sum32(guess));
}

SEC("xdp")
int flood_frame(struct xdp_md *ctx) {
  __u8 *frame = (__u8 *)(long)ctx->data;
  __u64 number = flood_made;

  if (frame + flood.headers > (__u8 *)(long)ctx->data_end) return XDP_ABORTED;
  flood_made = number + 1;
  if (flood.lag && number & 1 && number / 2 >= flood.lag)
    make_answer(frame, number / 2 - flood.lag);
  else
    make_syn(frame, flood.lag ? number / 2 + (number & 1 ? 1ULL << 62 : 0) : number);
  return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
