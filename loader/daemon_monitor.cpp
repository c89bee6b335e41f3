// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "loader/alert/monitor_samples.h"
#include "loader/daemon.h"
#include "loader/monitor/watchlist.h"

namespace tfo {
namespace {

std::optional<ConfigAddress> address_of(const sockaddr* from) {
  ConfigAddress address{};
  if (from == nullptr) return std::nullopt;
  if (from->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, from, sizeof(v6));
    std::memcpy(address.data(), &v6.sin6_addr, address.size());
    return address;
  }
  if (from->sa_family != AF_INET) return std::nullopt;
  sockaddr_in v4{};
  std::memcpy(&v4, from, sizeof(v4));
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, &v4.sin_addr, sizeof(v4.sin_addr));
  return address;
}

/// Of the network namespace that tfod runs in, where the interfaces are.
Result<std::set<ConfigAddress>> local_addresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return fail_errno("cannot list this node's addresses");
  std::set<ConfigAddress> all;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (const auto address = address_of(one->ifa_addr)) all.insert(*address);
  }
  freeifaddrs(first);
  return all;
}

}  // namespace

void Daemon::review_monitor() {
  if (!dataplane_) return;
  auto done = open_monitor();
  if (done) done = watch_subjects();
  conditions_.set("dataplane_failed", "monitor", !done, done ? "" : done.error().message);
}

/// Larger maps have other tables, and remember no SYNs yet.
Result<> Daemon::open_monitor() {
  if (!dataplane_) return {};
  const uint64_t serial = dataplane_->guard().serial();
  const bool wanted = !watchlist_of(config_).subjects.empty();
  if (monitor_ && (!wanted || serial != monitor_serial_)) close_monitor();
  if (!wanted || monitor_) return {};
  // The first one may find what the tfod before had, and programs that went on meanwhile.
  const bool unbroken = dataplane_->adopted() && dataplane_->tracking_gaps() == 0;
  auto opened = SynAckMonitor::open(dataplane_->maps(), unbroken);
  if (!opened) return tl::unexpected(opened.error());
  monitor_fd_ = Fd(fcntl((*opened)->samples_fd(), F_DUPFD_CLOEXEC, 3));
  auto samples = loop_->io(monitor_fd_.get(), EPOLLIN, [this](uint32_t) {
    if (!monitor_ || !dataplane_ || dataplane_->guard().serial() != monitor_serial_) return;
    const auto taken = monitor_->take_samples(SynAckMonitor::kSamplesAtOnce);
    conditions_.set("dataplane_failed", "monitor samples", !taken,
                    taken ? "" : taken.error().message);
  });
  if (!samples) return tl::unexpected(samples.error());
  monitor_ = std::move(*opened);
  monitor_samples_ = std::move(*samples);
  monitor_serial_ = serial;
  own_addresses_.reset();
  tracking_gaps_ = dataplane_->tracking_gaps();
  return {};
}

void Daemon::close_monitor() {
  monitor_samples_ = EventLoop::Source();
  monitor_fd_ = Fd();
  monitor_.reset();
  for (const char* id : {"tracking_unproven", "tracking_saturated"}) conditions_.clear_all(id);
}

Result<> Daemon::watch_subjects() {
  if (!monitor_) return {};
  auto addresses = local_addresses();
  if (!addresses) return tl::unexpected(addresses.error());
  if (own_addresses_ == *addresses) return {};
  Watchlist list = watchlist_of(config_);
  for (MonitorSubject& subject : list.subjects) {
    for (const ConfigAddress& address : *addresses) {
      const auto has = [&](const MonitorPrefix& one) { return holds(one, {.address = address}); };
      if (std::ranges::any_of(subject.prefixes, has)) subject.here.insert(address);
    }
  }
  const bool sockets = (monitor_bits(config_) & TFO_MONITOR_SOCKETS) != 0;
  if (auto done = monitor_->watch(list.subjects, sockets); !done) return done;
  own_addresses_ = std::move(*addresses);
  return {};
}

std::vector<alert::Sample> Daemon::read_monitor() {
  if (!monitor_ || !dataplane_) return {};
  // Every second: what leaves while our program is off is answered a moment later.
  const bool tracks =
      std::ranges::any_of(config_.interfaces, [](const auto& one) { return one.tracks != 0; });
  if (tracks) links_changed();
  const uint64_t gaps = dataplane_->tracking_gaps();
  if (std::exchange(tracking_gaps_, gaps) != gaps) monitor_->tracking_was_away();
  auto readings = monitor_->read();
  conditions_.set("dataplane_failed", "monitor counters", !readings,
                  readings ? "" : readings.error().message);
  if (!readings) return {};
  show_tracking(*readings);
  return alert::monitor_samples(*readings, config_);
}

void Daemon::show_tracking(const std::vector<MonitorReading>& readings) {
  std::set<std::string> unproven;
  bool saturated = false;
  for (const MonitorReading& reading : readings) {
    saturated = saturated || reading.saturated;
    if (!reading.doubtful) continue;
    unproven.insert(reading.subject);
    conditions_.raise("tracking_unproven", reading.subject, reading.why);
  }
  for (const Condition& condition : conditions_.list()) {
    if (condition.id == "tracking_unproven" && !unproven.contains(condition.subject)) {
      conditions_.clear(condition.id, condition.subject);
    }
  }
  conditions_.set("tracking_saturated", "", saturated,
                  "more SYNs leave than \"bloom_lines\" were made for: answers are taken for "
                  "remembered that are none; the alert outgoing_syn_flood says who sends them");
}

Result<nlohmann::json> Daemon::sample_headers(const nlohmann::json& request) const {
  const auto id = request.find("id");
  if (id == request.end() || !id->is_string()) return fail("give \"id\", as in alert-list");
  const auto& text = id->get_ref<const std::string&>();
  const size_t colon = text.find(':');
  if (!monitor_ || colon == std::string::npos) return nlohmann::json(nullptr);
  const std::vector<uint8_t> file = monitor_->pcap(text.substr(colon + 1), clock_.boot_offset_ns());
  if (file.empty()) return nlohmann::json(nullptr);
  return nlohmann::json(file);
}

/// While one of its alerts is raised, the programs look at what follows the SYN-ACKs.
void Daemon::keep_monitor_alarm() {
  if (!monitor_) return;
  monitor_->keep_alarm(alert::attacked(alerts_->active()));
}

}  // namespace tfo
