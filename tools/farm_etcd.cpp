// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_etcd.h"

#include <systemd/sd-event.h>

#include <optional>
#include <utility>

namespace tfo {

namespace {

/// The client sees to it that each request ends; see etcd::Timeouts.
template <class Reply>
using Slot = std::optional<etcd::Outcome<Reply>>;

}  // namespace

FarmEtcd::FarmEtcd(Context& context, std::unique_ptr<EventLoop> loop,
                   std::unique_ptr<etcd::Client> client)
    : context_(context), loop_(std::move(loop)), client_(std::move(client)) {}

Result<std::unique_ptr<FarmEtcd>> FarmEtcd::open(Context& context, const etcd::Config& config) {
  auto loop = EventLoop::create();
  if (!loop) return tl::unexpected<Error>(loop.error());
  auto client = etcd::Client::create(**loop, config);
  if (!client) return tl::unexpected<Error>(client.error());
  return std::unique_ptr<FarmEtcd>(new FarmEtcd(context, std::move(*loop), std::move(*client)));
}

void FarmEtcd::begin() { say_at_ = std::chrono::steady_clock::now() + std::chrono::seconds(2); }

void FarmEtcd::step() {
  constexpr uint64_t kStepUs = 100'000;
  sd_event_run(loop_->handle(), kStepUs);
  if (std::chrono::steady_clock::now() < say_at_) return;
  context_.err << "tfoctl: waiting for etcd\n" << std::flush;
  say_at_ += std::chrono::seconds(5);
}

etcd::Outcome<etcd::RangeReply> FarmEtcd::read(const std::string& key) {
  Slot<etcd::RangeReply> reply;
  etcd::Range what;
  what.key = key;
  const etcd::Call call = etcd::range(*client_, what, [&](auto got) { reply = std::move(got); });
  begin();
  while (!reply.has_value()) step();
  return std::move(*reply);
}

etcd::Outcome<etcd::TxnReply> FarmEtcd::txn(const etcd::Txn& what) {
  Slot<etcd::TxnReply> reply;
  const etcd::Call call = etcd::txn(*client_, what, [&](auto got) { reply = std::move(got); });
  begin();
  while (!reply.has_value()) step();
  return std::move(*reply);
}

}  // namespace tfo
