/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Whose SYN is it? (address, port) first, then (address, any port). */
#ifndef TFO_VIP_H
#define TFO_VIP_H

#include "maps.h"
#include "settings.h"
#include "vip_hash.h"

/* TFO_VIP_SECOND, if the rows in force have it. */
static __always_inline __u32 tfo_vip_second(void)
{
	return *(volatile __u32 *)&tfo_ctl.vip_side ? TFO_VIP_SECOND : 0;
}

static __always_inline struct tfo_vip *tfo_vip_row(const struct tfo_vip_key *key, __u32 side,
						   __u32 hash)
{
	__u32 index = side + (hash & tfo_ctl.vip_mask);
	struct tfo_vip *vip = bpf_map_lookup_elem(&vips, &index);

	if (vip && *(__u64 *)(vip->address + 8) == key->low &&
	    *(__u64 *)vip->address == key->high && vip->port == key->port &&
	    vip->flags & TFO_VIP_USED)
		return vip;
	return 0;
}

static __always_inline struct tfo_vip *tfo_vip_probe(const struct tfo_vip_key *key, __u32 side)
{
	__u64 hash = tfo_vip_hash(key, tfo_ctl.hash_seed);
	struct tfo_vip *vip = tfo_vip_row(key, side, hash);

	return vip ?: tfo_vip_row(key, side, hash >> 32);
}

static __always_inline struct tfo_vip *tfo_vip_find(struct tfo_vip_key *key)
{
	__u32 side = *(volatile __u32 *)&tfo_ctl.vip_side ? tfo_ctl.vip_mask + 1 : 0;
	struct tfo_vip *vip;

	if (tfo_cfg.every_vip)
		*key = (struct tfo_vip_key){};
	vip = tfo_vip_probe(key, side);
	if (vip)
		return vip;
	key->port = 0;
	return tfo_vip_probe(key, side);
}

#endif /* TFO_VIP_H */
