// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <functional>

#include "loader/etcd/kv.h"

namespace tfo::etcd {

/// Keys asked for at once, and where so many do not fit into Limits::body: etcd takes values of up
/// to 1.5 MiB (--max-request-bytes), which are 2 MiB in base64.
inline constexpr int64_t kPage = 256;
inline constexpr int64_t kSmallPage = 6;
/// Bytes of keys and values that one reading may bring.
inline constexpr size_t kMostPages = 64U << 20;

/// A whole range, of any number of keys, as it was at one revision: read page by page. `what` names
/// neither limit nor revision. The reply's header is the first page's, whose revision it is. More
/// than kMostPages fails with kTooLarge; one failed page fails all.
Call range_by_pages(Client& client, Range what, std::function<void(Outcome<RangeReply>)> callback);

}  // namespace tfo::etcd
