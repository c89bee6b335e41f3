/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The frame of an XDP program as the pure core sees it. */
#ifndef TFO_FRAME_H
#define TFO_FRAME_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "core.h"

tfo_inline __u32 tfo_frame_len(const struct tfo_frame *frame)
{
	return bpf_xdp_get_buff_len(frame->context);
}

tfo_inline struct tfo_frame tfo_frame_of(struct xdp_md *ctx)
{
	return (struct tfo_frame){
		.data = (const __u8 *)(long)ctx->data,
		.end = (const __u8 *)(long)ctx->data_end,
		.context = ctx,
	};
}

#endif /* TFO_FRAME_H */
