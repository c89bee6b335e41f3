// SPDX-License-Identifier: BSD-2-Clause
// How the namespaces of a LiveFarm are made.
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/live_farm.h"

namespace tfo::test {
namespace {

constexpr const char* kClientMac = "02:00:00:00:0c:01";
constexpr const char* kBalancerMac = "02:00:00:00:0b:01";
constexpr const char* kBalancerServerMac = "02:00:00:00:0b:02";
constexpr const char* kServerMac = "02:00:00:00:0a:01";
constexpr int kQueue = 65535;

/// Runs steps until one fails.
Result<> all(std::initializer_list<Result<>> steps) {
  for (const Result<>& step : steps) {
    if (!step) return step;
  }
  return {};
}

}  // namespace

LiveFarm::LiveFarm(XdpUnderTest& xdp, NetNs client, NetNs balancer, NetNs server)
    : xdp_(xdp),
      client_(std::move(client)),
      balancer_(std::move(balancer)),
      server_(std::move(server)) {}

LiveFarm::~LiveFarm() {
  for (int fd : {packet_socket_, listener_, netstat_}) {
    if (fd >= 0) close(fd);
  }
}

Result<std::unique_ptr<LiveFarm>> LiveFarm::build(XdpUnderTest& xdp) {
  auto client = NetNs::create("parity-c");
  auto balancer = NetNs::create("parity-b");
  auto server = NetNs::create("parity-s");
  if (!client || !balancer || !server) return fail("cannot make network namespaces");
  std::unique_ptr<LiveFarm> farm(
      new LiveFarm(xdp, std::move(*client), std::move(*balancer), std::move(*server)));
  for (auto step : {&LiveFarm::wire, &LiveFarm::configure, &LiveFarm::listen, &LiveFarm::attach,
                    &LiveFarm::open_packet_socket}) {
    if (auto done = (farm.get()->*step)(); !done) return tl::unexpected(done.error());
  }
  auto mib = farm->read_mib();
  auto counters = xdp.counters();
  if (!mib || !counters) return fail("cannot read counters");
  farm->last_mib_ = *mib;
  farm->last_counters_ = *counters;
  return farm;
}

Result<> LiveFarm::wire() {
  return all({
      // The client's kernel stays silent: no addresses, no IPv6.
      client_.sysctl("ipv6/conf/all/disable_ipv6", "1"),
      client_.sysctl("ipv6/conf/default/disable_ipv6", "1"),
      client_.ip(fmt::format("link add c0 address {} type veth peer name b0 address {} netns {}",
                             kClientMac, kBalancerMac, balancer_.name())),
      balancer_.ip(fmt::format("link add b1 address {} type veth peer name s0 address {} netns {}",
                               kBalancerServerMac, kServerMac, server_.name())),
      client_.ip("link set c0 up multicast off arp off"),
      balancer_.ip("link set b0 up"),
      balancer_.ip("link set b1 up"),
      server_.ip("link set lo up"),
      server_.ip("link set s0 up"),
  });
}

Result<> LiveFarm::configure_addresses(int family) {
  const Side& side = kSides[family == 4 ? 0 : 1];
  const char* whole = family == 4 ? "32" : "128";
  const char* no_dad = family == 4 ? "" : " nodad";
  const std::string gateway = family == 4 ? "169.254.7.1" : "fe80::7";
  std::vector<std::string> servers = {side.web, side.no_keys};
  std::vector<std::string> clients = {side.client};
  if (family == 4) {
    servers.emplace_back(kMarkerServer);
    clients.emplace_back(kMarkerClient);
  }
  for (const std::string& address : servers) {
    auto done = all({
        server_.ip(fmt::format("addr add {}/{} dev lo{}", address, whole, no_dad)),
        balancer_.ip(fmt::format("-{} route add {}/{} dev b1", family, address, whole)),
        balancer_.ip(
            fmt::format("neigh add {} lladdr {} dev b1 nud permanent", address, kServerMac)),
    });
    if (!done) return done;
  }
  for (const std::string& address : clients) {
    auto done = all({
        balancer_.ip(fmt::format("-{} route add {}/{} dev b0", family, address, whole)),
        balancer_.ip(
            fmt::format("neigh add {} lladdr {} dev b0 nud permanent", address, kClientMac)),
    });
    if (!done) return done;
  }
  return all({
      server_.ip(
          fmt::format("neigh add {} lladdr {} dev s0 nud permanent", gateway, kBalancerServerMac)),
      server_.ip(fmt::format("-{} route add default via {} dev s0 onlink", family, gateway)),
  });
}

Result<> LiveFarm::configure() {
  for (const NetNs* ns : {&balancer_, &server_}) {
    for (const char* of : {"all", "default"}) {
      if (auto done = ns->sysctl(fmt::format("ipv4/conf/{}/rp_filter", of), "0"); !done)
        return done;
    }
  }
  // veth interfaces existed before the default was set.
  for (const auto& [ns, interface] :
       {std::pair{&balancer_, "b0"}, std::pair{&balancer_, "b1"}, std::pair{&server_, "s0"}}) {
    if (auto done = ns->sysctl(fmt::format("ipv4/conf/{}/rp_filter", interface), "0"); !done) {
      return done;
    }
  }
  auto done = all({
      balancer_.sysctl("ipv4/ip_forward", "1"),
      balancer_.sysctl("ipv6/conf/all/forwarding", "1"),
      server_.sysctl("ipv4/tcp_fastopen", "2"),
      server_.sysctl("ipv4/tcp_syncookies", "0"),
      server_.sysctl("ipv4/tcp_max_syn_backlog", std::to_string(kQueue)),
      server_.sysctl("core/somaxconn", std::to_string(kQueue)),
      server_.sysctl("ipv4/tcp_synack_retries", "1"),
  });
  if (!done) return done;
  if (auto v4 = configure_addresses(4); !v4) return v4;
  return configure_addresses(6);
}

Result<> LiveFarm::listen() {
  const NetNs::Inside inside(server_);
  listener_ = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0) return fail_errno("the listener's socket");
  const int off = 0;
  setsockopt(listener_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  setsockopt(listener_, SOL_TCP, TCP_FASTOPEN, &kQueue, sizeof(kQueue));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(443);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0 ||
      ::listen(listener_, kQueue) != 0) {
    return fail_errno("the listener");
  }
  netstat_ = open("/proc/thread-self/net/netstat", O_RDONLY | O_CLOEXEC);
  if (netstat_ < 0) return fail_errno("/proc/net/netstat");
  return {};
}

Result<> LiveFarm::attach() {
  const NetNs::Inside inside(balancer_);
  balancer_ifindex_ = if_nametoindex("b0");
  const int err = bpf_xdp_attach(static_cast<int>(balancer_ifindex_), xdp_.program_fd(),
                                 XDP_FLAGS_DRV_MODE, nullptr);
  if (err != 0) return fail_errno("attaching natively to veth", err);
  return {};
}

Result<> LiveFarm::open_packet_socket() {
  const NetNs::Inside inside(client_);
  client_ifindex_ = if_nametoindex("c0");
  packet_socket_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
  if (packet_socket_ < 0) return fail_errno("the packet socket");
  const int on = 1;
  setsockopt(packet_socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
  sockaddr_ll here{};
  here.sll_family = AF_PACKET;
  here.sll_protocol = htons(ETH_P_ALL);
  here.sll_ifindex = static_cast<int>(client_ifindex_);
  if (bind(packet_socket_, reinterpret_cast<sockaddr*>(&here), sizeof(here)) != 0) {
    return fail_errno("binding the packet socket");
  }
  return {};
}

void LiveFarm::address(Packet& packet) const {
  packet.link.source = {2, 0, 0, 0, 0x0c, 1};
  packet.link.destination = {2, 0, 0, 0, 0x0b, 1};
}

}  // namespace tfo::test
