// SPDX-License-Identifier: BSD-2-Clause
// Pools that a farm shares through etcd: their events, what this node reports, and commands.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "loader/daemon.h"
#include "loader/keys/redact.h"
#include "loader/log.h"
#include "loader/rotation/records.h"
#include "loader/server/serving.h"

namespace tfo {
namespace {

using nlohmann::json;
using rotation::Request;

/// Longest that an end waits for the farewell to reach etcd.
constexpr std::chrono::seconds kFarewell{3};
/// Listeners of one namespace in an acknowledgement; they are read by every balancer.
constexpr size_t kMaxReported = 64;

/// Over all listeners that may do Fast Open: see FarmReports.
json sums_of(const ListenerReport& report) {
  const uint64_t least = least_queues(report).fast_open.value_or(0);
  uint64_t count = 0, backlog = 0, unknown = 0, qlen = 0, fullest = 0;
  for (const Listener& one : report.listeners) {
    if (!one.may_fast_open()) continue;
    ++count;
    backlog += one.backlog;
    if (!one.fast_open) {
      ++unknown;
      continue;
    }
    const uint64_t limit = one.fast_open->limit;
    qlen += limit;
    fullest =
        std::max(fullest, std::min<uint64_t>(4, uint64_t{4} * one.fast_open->pending / limit));
  }
  return {{"listeners", count},      {"qlen", qlen},       {"qlen_least", least},
          {"qlen_unknown", unknown}, {"backlog", backlog}, {"fullest_quarters", fullest}};
}

/// What changes with every connection is left out: an acknowledgement is written when it changes.
json reported(const ListenerReport& report) {
  json listeners = json::array();
  size_t left_out = report.left_out;
  for (const Listener& one : report.listeners) {
    if (!one.may_fast_open()) continue;
    if (listeners.size() == kMaxReported) {
      ++left_out;
      continue;
    }
    json limit = nullptr;
    if (one.fast_open) limit = one.fast_open->limit;
    listeners.push_back({{"address", address_text(one.address)},
                         {"port", one.port},
                         {"backlog", one.backlog},
                         {"fastopen_limit", std::move(limit)}});
  }
  return {{"netns", report.netns},         {"fastopen_bits", report.fastopen_bits},
          {"somaxconn", report.somaxconn}, {"left_out", left_out},
          {"sums", sums_of(report)},       {"listeners", std::move(listeners)}};
}

std::string own_keys(const ListenerReport& report, const KeyRing& ring) {
  for (const Listener& one : report.listeners) {
    if (!own_key_evidence(one, ring).empty()) {
      return fmt::format("netns {}: listener {} has keys of its own", report.netns,
                         listener_text(one));
    }
  }
  return {};
}

/// A field that may be absent; of another type it is an error.
template <class T>
Result<> take(const json& request, const char* field, T& out) {
  const auto at = request.find(field);
  if (at == request.end() || at->is_null()) return {};
  try {
    out = at->get<T>();
  } catch (const json::exception&) {
    return fail(fmt::format("\"{}\" is of the wrong type", field));
  }
  return {};
}

Result<> take_generation(const json& request, uint64_t& out) {
  std::string text;
  if (auto taken = take(request, "generation", text); !taken) return taken;
  if (text.empty()) return {};
  if (const auto id = rotation::id_from(text)) {
    out = *id;
    return {};
  }
  return fail("\"" + without_keys(text) +
              "\" is no generation: give its 16 hex digits (`tfoctl key show`)");
}

Result<Request> request_of(const json& asked) {
  constexpr std::array kKinds = {Request::Kind::kRotate, Request::Kind::kAbort,
                                 Request::Kind::kRevoke, Request::Kind::kForget,
                                 Request::Kind::kRekey};
  Request request;
  std::string kind;
  Result<> taken = take(asked, "kind", kind);
  const auto known = std::ranges::find_if(
      kKinds, [&](Request::Kind one) { return rotation::to_string(one) == kind; });
  if (taken && known == kKinds.end()) {
    return fail("\"kind\" is to be rotate, abort, revoke, forget or rekey");
  }
  if (taken) request.kind = *known;
  if (taken) taken = take_generation(asked, request.generation);
  if (taken) taken = take(asked, "gentle", request.gentle);
  if (taken) taken = take(asked, "node", request.node);
  if (taken) taken = take(asked, "off_wire", request.off_wire);
  if (taken) taken = take(asked, "key", request.key);
  if (taken) taken = take(asked, "revoke_all", request.revoke_all);
  if (!taken) return tl::unexpected(taken.error());
  if (request.kind == Request::Kind::kRevoke && request.generation == 0) {
    return fail("say which generation (`tfoctl key show` lists them)");
  }
  // A key in the place of a name would be told to all of the farm.
  const bool named = rotation::check_name(request.node, "node") && !looks_like_key(request.node);
  if (request.kind == Request::Kind::kForget && !named) {
    return fail("say which node (`tfoctl node list` lists them)");
  }
  if (!named) request.node.clear();
  return request;
}

}  // namespace

void Daemon::watch_stores() {
  stores_.clear();
  for (const int fd : pools_.event_fds()) {
    auto source = loop_->io(fd, EPOLLIN, [this](uint32_t) { housekeeping(); });
    if (source) {
      stores_.push_back(std::move(*source));
    } else {
      log_error("a farm's changes are seen late: {}", source.error().message);
    }
  }
}

void Daemon::report_to_farms() {
  for (const std::string& name : pools_.names()) {
    KeyPool* pool = pools_.find(name);
    rotation::EtcdStore* farm = pool == nullptr ? nullptr : pool->farm();
    if (farm != nullptr) farm->report(node_report(name, pool->ring()));
  }
}

rotation::NodeReport Daemon::node_report(const std::string& pool, const KeyRing& ring) const {
  rotation::NodeReport report;
  const auto follows = [&](const VipConfig& vip) { return vip.pool == pool; };
  const auto renews = [&](const VipConfig& vip) {
    return !follows(vip) || (vip.mode == TFO_ENFORCE && vip.renew);
  };
  report.renews =
      dataplane_.has_value() && std::ranges::any_of(config_.vips, follows) &&
      std::ranges::all_of(config_.vips, renews) &&
      std::ranges::all_of(dataplane_->interfaces(), [](const InterfaceStatus& one) {
        return one.state == InterfaceState::kNative || one.state == InterfaceState::kGeneric;
      });
  for (const ListenerReport* one : namespaces_.listeners(pool)) {
    if (report.listeners.is_null()) report.listeners = json::array();
    report.listeners.push_back(reported(*one));
    if (report.partial.empty()) report.partial = own_keys(*one, ring);
  }
  return report;
}

Result<json> Daemon::farm_command(const std::string& name, KeyPool& pool, const json& request) {
  rotation::EtcdStore* farm = pool.farm();
  if (farm == nullptr) return fail("pool " + pool.name() + " is not shared through etcd");
  if (name == "farm-status") {
    farm->agent().refresh();
    return farm->agent().status();
  }
  if (name == "farm-request") return farm_request(*farm, request);
  if (name == "key-rotate") return farm_request(*farm, {{"kind", "rotate"}});
  if (name != "farm-adopt") return fail("unknown command \"" + without_keys(name) + "\"");
  auto adopted = farm->agent().adopt();
  if (!adopted) return tl::unexpected(std::move(adopted.error()).in("pool " + pool.name()));
  log_warning("pool {}: etcd's lower document was adopted by command: {}", pool.name(),
              adopted->dump());
  (*adopted)["pool"] = pool.name();
  schedule(clock_.now().unix_s);
  return adopted;
}

Result<json> Daemon::farm_request(rotation::EtcdStore& store, const json& asked) {
  const std::string& pool = store.settings().pool;
  auto request = request_of(asked);
  if (!request) return tl::unexpected(std::move(request.error()).in("pool " + pool));
  const std::string kind{rotation::to_string(request->kind)};
  auto id = store.agent().ask(std::move(*request));
  if (!id) return tl::unexpected(std::move(id.error()).in("pool " + pool));
  log_info("pool {}: {} asked of the farm by command", pool, kind);
  return json{{"pool", pool}, {"request", *id}};
}

void Daemon::close_pools() {
  // A reload that still waits for keys would put pools in force that nobody closes again.
  ++reloads_;
  reload_.reset();
  hangup_ = {};
  stores_.clear();
  for (const std::string& name : pools_.names()) {
    KeyPool* pool = pools_.find(name);
    if (pool != nullptr && pool->farm() != nullptr) {
      leaving_.push_back(pool->farm()->release_agent());
    }
  }
  pools_.commit({}, nullptr);
}

/// `done` is called now or from the loop; if etcd does not answer, farewell_ ends the loop.
void Daemon::leave_farms(const std::function<void()>& done) {
  to_leave_ = leaving_.size();
  if (to_leave_ == 0) {
    done();
    return;
  }
  farewell_.start(kFarewell);
  for (const auto& agent : leaving_) {
    agent->leave([this, done](const Result<>& left) {
      if (!left) {
        log_warning(
            "the farm was not told that this node leaves: {}; remove it with `tfoctl node "
            "forget`",
            left.error().message);
      }
      if (--to_leave_ == 0) done();
    });
  }
}

}  // namespace tfo
