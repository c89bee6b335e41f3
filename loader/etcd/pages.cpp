// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/pages.h"

#include <iterator>
#include <memory>
#include <utility>

namespace tfo::etcd {
namespace {

class Reading : public std::enable_shared_from_this<Reading> {
 public:
  Reading(Client& client, Range what, std::function<void(Outcome<RangeReply>)> callback)
      : client_(client), next_(std::move(what)), begin_(next_.key), callback_(std::move(callback)) {
    next_.limit = kPage;
  }

  void ask() {
    call_ = range(client_, next_, [weak = weak_from_this()](Outcome<RangeReply> page) {
      // The owner may let go of the reading in its callback.
      if (const auto self = weak.lock()) self->arrived(std::move(page));
    });
  }
  void cancel() { call_.reset(); }

 private:
  void arrived(Outcome<RangeReply> page) {
    if (!page && page.error().kind == FaultKind::kTooLarge && next_.limit > kSmallPage) {
      next_.limit = kSmallPage;
      return ask();
    }
    if (!page) return callback_(std::move(page));
    if (!begun_) all_.header = page->header;
    if (!begun_ || page->continuity.broken()) all_.continuity = page->continuity;
    begun_ = true;
    for (const KeyValue& kv : page->kvs) bytes_ += kv.key.size() + kv.value.size();
    if (bytes_ > kMostPages) {
      return callback_(tl::unexpected(
          Fault{FaultKind::kTooLarge, -1,
                "etcd: range: more than " + std::to_string(kMostPages >> 20U) + " MiB below " +
                    begin_ + ": remove what the farm has not written there"}));
    }
    const bool more = page->more && !page->kvs.empty();
    if (more) next_.key = page->kvs.back().key + '\0';
    next_.revision = all_.header.revision;
    std::move(page->kvs.begin(), page->kvs.end(), std::back_inserter(all_.kvs));
    if (more) return ask();
    all_.count = static_cast<int64_t>(all_.kvs.size());
    callback_(std::move(all_));
  }

  Client& client_;
  Range next_;
  std::string begin_;
  std::function<void(Outcome<RangeReply>)> callback_;
  RangeReply all_;
  size_t bytes_ = 0;
  bool begun_ = false;
  Call call_;
};

}  // namespace

Call range_by_pages(Client& client, Range what, std::function<void(Outcome<RangeReply>)> callback) {
  const auto reading = std::make_shared<Reading>(client, std::move(what), std::move(callback));
  reading->ask();
  return Call([reading] { reading->cancel(); });
}

}  // namespace tfo::etcd
