// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/etcd_session.h"

#include <systemd/sd-event.h>

#include <chrono>
#include <sstream>
#include <utility>

namespace tfo::test {

using nlohmann::json;

EtcdSession::EtcdSession(const etcd::Config& config) {
  auto loop = EventLoop::create();
  if (!loop) {
    error_ = loop.error().message;
    return;
  }
  loop_ = std::move(*loop);
  auto client = etcd::Client::create(*loop_, config);
  if (client) {
    client_ = std::move(*client);
  } else {
    error_ = client.error().message;
  }
}

bool EtcdSession::until(const std::function<bool()>& condition, double seconds) {
  constexpr uint64_t kStep = 20'000;  // us
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    sd_event_run(loop_->handle(), kStep);
  }
  return true;
}

etcd::Outcome<etcd::RangeReply> EtcdSession::range(const etcd::Range& what) {
  return await<etcd::RangeReply>(
      [&](auto done) { return etcd::range(*client_, what, std::move(done)); });
}

etcd::Outcome<etcd::RangeReply> EtcdSession::read(const std::string& key) {
  etcd::Range what;
  what.key = key;
  return range(what);
}

etcd::Outcome<etcd::PutReply> EtcdSession::put(const std::string& key, const std::string& value) {
  return await<etcd::PutReply>(
      [&](auto done) { return etcd::put(*client_, {key, value, 0}, std::move(done)); });
}

etcd::Outcome<etcd::TxnReply> EtcdSession::txn(const etcd::Txn& what) {
  return await<etcd::TxnReply>(
      [&](auto done) { return etcd::txn(*client_, what, std::move(done)); });
}

etcd::Outcome<etcd::Answer> EtcdSession::post(const std::string& path, const json& body) {
  return await<etcd::Answer>([&](auto done) {
    return client_->call({"test", path, body, false, false}, std::move(done));
  });
}

EtcdWatchLog::EtcdWatchLog(EtcdSession& session, const etcd::WatchTarget& target)
    : session_(session), notices_(std::make_shared<std::vector<etcd::WatchNotice>>()) {
  auto watch = etcd::Watch::open(
      session.client(), target,
      [all = notices_](etcd::WatchNotice notice) { all->push_back(std::move(notice)); });
  if (watch) watch_ = std::move(*watch);
}

size_t EtcdWatchLog::count(etcd::WatchNotice::Kind kind) const {
  size_t n = 0;
  for (const auto& notice : *notices_) n += notice.kind == kind ? 1 : 0;
  return n;
}

const etcd::WatchNotice* EtcdWatchLog::last(etcd::WatchNotice::Kind kind) const {
  for (size_t i = notices_->size(); i > 0; i--) {
    if ((*notices_)[i - 1].kind == kind) return &(*notices_)[i - 1];
  }
  return nullptr;
}

bool EtcdWatchLog::wait(etcd::WatchNotice::Kind kind, size_t n, double seconds) {
  return session_.until([&] { return count(kind) >= n; }, seconds);
}

std::vector<std::string> EtcdWatchLog::values() const {
  std::vector<std::string> values;
  for (const auto& notice : *notices_) {
    for (const auto& event : notice.events) values.push_back(event.kv.value);
  }
  return values;
}

bool EtcdWatchLog::wait_value(const std::string& value, double seconds) {
  return session_.until(
      [&] {
        const auto all = values();
        return !all.empty() && all.back() == value;
      },
      seconds);
}

std::string EtcdWatchLog::text() const {
  static constexpr const char* kNames[] = {"created",   "events",    "progress", "interrupted",
                                           "compacted", "too large", "denied"};
  std::ostringstream text;
  for (const auto& notice : *notices_) {
    text << kNames[static_cast<size_t>(notice.kind)] << " at " << notice.header.revision << ' '
         << notice.events.size() << " events " << notice.text << '\n';
  }
  return text.str();
}

std::string enable_authentication(EtcdSession& session) {
  const std::pair<const char*, json> steps[] = {
      {"user/add", {{"name", "root"}, {"password", "root-password"}}},
      {"user/grant", {{"user", "root"}, {"role", "root"}}},
      {"role/add", {{"name", "tfod"}}},
      {"role/grant",
       {{"name", "tfod"},
        {"perm",
         {{"permType", "READWRITE"},
          {"key", etcd::to_base64("/tfo/")},
          {"range_end", etcd::to_base64(etcd::prefix_end("/tfo/"))}}}}},
      {"user/add", {{"name", "tfod"}, {"password", "tfod-password"}}},
      {"user/grant", {{"user", "tfod"}, {"role", "tfod"}}},
      {"enable", json::object()},
  };
  for (const auto& [path, body] : steps) {
    const auto done = session.post(std::string("/v3/auth/") + path, body);
    if (!done) return std::string(path) + ": " + done.error().message;
  }
  return "";
}

}  // namespace tfo::test
