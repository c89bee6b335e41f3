/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Pure core: which of a slot's two settings a packet goes by. Each slot has two cells in the maps
 * of struct tfo_policy and struct tfo_guard, as the VIPs' rows have two sides: another
 * configuration is written to the cells that no packet looks at, and comes into force with the rows
 * that name them, mode and settings together. In place user space only follows what it knows of the
 * servers; of that a packet may see some as it was and some as it is.
 */
#ifndef TFO_SETTINGS_H
#define TFO_SETTINGS_H

#include "core.h"

/* With TFO_VIP_* in a row of the second side: its slot's second cell. */
#define TFO_VIP_SECOND 32

/* Where a slot's settings stand; `flags`: of the VIP's row. */
tfo_inline __u32 tfo_settings_index(__u32 slot, __u32 flags)
{
	return slot * 2 + (flags & TFO_VIP_SECOND ? 1 : 0);
}

#endif /* TFO_SETTINGS_H */
