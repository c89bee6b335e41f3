// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/prober.h"

#include <sys/random.h>

#include <algorithm>
#include <future>

#include "loader/audit/listener.h"

namespace tfo::audit {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kResolvePatience(1500);
constexpr milliseconds kTick(100);
/// After a SYN was repeated the first one may still be answered.
constexpr milliseconds kLinger(250);
constexpr uint8_t kHopLimit = 64;
constexpr size_t kBurst = 64;  // SYNs between two looks at what came back, lest its queue overflow

struct Probe {
  Answer answer;
  Segment segment;
  std::optional<NextHop> next_hop;
  ReservedPort port;
  steady_clock::time_point sent_at;
  bool settled = false;
};

uint32_t random_number() {
  uint32_t number = 0;
  // 256 bytes or fewer come whole and at once (getrandom(2)).
  while (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
  }
  return number;
}

void settle(Probe& probe, Outcome outcome, std::string detail = "") {
  probe.settled = true;
  probe.answer.outcome = outcome;
  probe.answer.detail = std::move(detail);
}

/// Where the SYN of a probe comes from. What is sent to a next hop has the address that reaches
/// it, since the VIP may be one of this host's own; a link-local one is no address to answer a VIP
/// to.
Result<Address> choose_source(const Target& target, const ProbeOptions& options) {
  const auto& given = target.server.family == 4 ? options.source4 : options.source6;
  if (given) return *given;
  const bool by_hop = target.via && !target.via->is_link_local();
  auto source = source_towards(by_hop ? *target.via : target.server);
  if (source && *source == target.server && target.via) {
    return fail("the VIP is an address of this host: choose another with --source");
  }
  return source;
}

Result<Probe> make_probe(const Target& target, const ProbeOptions& options,
                         const std::vector<std::pair<Address, NextHop>>& hops) {
  Probe probe;
  probe.answer.target = target;
  const auto source = choose_source(target, options);
  if (!source) {
    settle(probe, Outcome::unreachable, source.error().message);
    if (target.via) return tl::unexpected<Error>(source.error());
    return probe;
  }
  auto port = ReservedPort::reserve(*source);
  if (!port) return tl::unexpected<Error>(port.error());
  probe.port = std::move(*port);
  probe.answer.source = *source;
  probe.segment = {*source,     target.server,   probe.port.number(),
                   target.port, random_number(), kHopLimit};
  if (!target.via) return probe;
  const auto hop = std::find_if(hops.begin(), hops.end(),
                                [&](const auto& one) { return one.first == *target.via; });
  probe.next_hop = hop->second;
  // A tunnel may take its outer header's limit from this one.
  if (!hop->second.address.empty()) probe.segment.hop_limit = options.via_hop_limit;
  if (!hop->second.resolved) {
    settle(probe, Outcome::unreachable,
           to_string(*target.via) + " answers neither ARP nor neighbour discovery");
  }
  return probe;
}

/// Every next hop once, all at the same time.
Result<std::vector<std::pair<Address, NextHop>>> find_hops(const std::vector<Target>& targets) {
  std::vector<std::pair<Address, NextHop>> hops;
  std::vector<std::pair<Address, std::future<Result<NextHop>>>> asked;
  for (const Target& target : targets) {
    const bool known = !target.via || std::any_of(asked.begin(), asked.end(), [&](const auto& one) {
      return one.first == *target.via;
    });
    if (known) continue;
    asked.emplace_back(
        *target.via, std::async(std::launch::async, find_next_hop, *target.via, kResolvePatience));
  }
  for (auto& [address, future] : asked) {
    auto hop = future.get();
    if (!hop) return tl::unexpected<Error>(hop.error());
    hops.emplace_back(address, std::move(*hop));
  }
  return hops;
}

Result<> send_request(Probe& probe) {
  const int error = send_packet(cookie_request(probe.segment), probe.segment, probe.next_hop);
  probe.sent_at = steady_clock::now();
  if (error == 0) {
    probe.answer.sent++;
  } else if (error == EPERM || error == EACCES) {
    return fail_errno("cannot send to " + to_string(probe.answer.target.server) +
                          " (run as root; a firewall of this host may forbid it too)",
                      error);
  } else {
    settle(probe, Outcome::unreachable, std::string("this host: ") + std::strerror(error));
  }
  return {};
}

/// If it is lost the server's own timers end the half-open connection, as with any client that
/// went away.
void send_reset(const Probe& probe) {
  Segment segment = probe.segment;
  segment.sequence++;
  (void)send_packet(reset(segment), segment, probe.next_hop);
}

bool is_answer(const Reply& reply, const Probe& probe) {
  const Segment& asked = reply.asked;
  const Segment& segment = probe.segment;
  return asked.source_port == segment.source_port && asked.sequence == segment.sequence &&
         asked.destination_port == segment.destination_port &&
         asked.source.bytes == segment.source.bytes &&
         asked.destination.bytes == segment.destination.bytes;
}

std::string words_of(const Reply& reply, const Probe& probe) {
  std::string text = to_string(reply.from) + ": " + reply.reason;
  if (reply.hop_limit_exceeded && probe.next_hop) text += ": it does not hold the VIP itself";
  return text;
}

void take(const Reply& reply, Probe& probe) {
  if (reply.kind == ReplyKind::syn_ack) send_reset(probe);
  if (probe.settled) return;
  const std::chrono::duration<double, std::milli> passed = steady_clock::now() - probe.sent_at;
  probe.answer.milliseconds = passed.count();
  switch (reply.kind) {
    case ReplyKind::syn_ack:
      probe.answer.cookie = reply.cookie;
      probe.answer.option_kind = reply.option_kind;
      settle(probe, reply.cookie.empty() ? Outcome::no_cookie : Outcome::cookie);
      break;
    case ReplyKind::reset:
      settle(probe, Outcome::closed);
      break;
    case ReplyKind::unreachable:
      settle(probe, Outcome::unreachable, words_of(reply, probe));
      break;
  }
}

class Round {
 public:
  Round(std::vector<Probe> probes, Listener listener, const ProbeOptions& options)
      : probes_(std::move(probes)), listener_(std::move(listener)), options_(options) {}

  /// Until everybody has answered or was asked often enough.
  Result<> run(const Waiting& waiting) {
    for (size_t pending = 1; pending > 0;) {
      pending = 0;
      for (size_t i = 0; i < probes_.size(); i++) {
        if (auto done = advance(probes_[i]); !done) return done;
        pending += probes_[i].settled ? 0 : 1;
        if ((i + 1) % kBurst != 0) continue;
        if (auto done = listen(milliseconds(0)); !done) return done;
      }
      if (!waiting(pending)) return fail("interrupted");
      if (pending == 0) break;
      if (auto done = listen(kTick); !done) return done;
    }
    return linger();
  }

  /// Takes back what a server that did not answer, or not yet, may hold.
  void take_back() {
    for (const Probe& probe : probes_) {
      const bool quiet = !probe.settled || probe.answer.outcome == Outcome::silent;
      if (quiet && probe.answer.sent > 0) send_reset(probe);
    }
  }

  std::vector<Answer> answers() const {
    std::vector<Answer> answers;
    answers.reserve(probes_.size());
    for (const Probe& probe : probes_) answers.push_back(probe.answer);
    return answers;
  }

 private:
  Result<> advance(Probe& probe) {
    if (probe.settled) return {};
    const bool last = probe.answer.sent >= options_.tries;
    const auto pause = last ? options_.pause + options_.pause / 4 : options_.pause;
    if (probe.answer.sent > 0 && steady_clock::now() - probe.sent_at < pause) return {};
    if (!last) return send_request(probe);
    settle(probe, Outcome::silent);
    return {};
  }

  Result<> listen(milliseconds wait) {
    const auto replies = listener_.receive(wait);
    if (!replies) return tl::unexpected<Error>(replies.error());
    for (const Reply& reply : *replies) {
      const auto found = std::find_if(probes_.begin(), probes_.end(),
                                      [&](const Probe& probe) { return is_answer(reply, probe); });
      if (found != probes_.end()) take(reply, *found);
    }
    return {};
  }

  Result<> linger() {
    const bool repeated = std::any_of(probes_.begin(), probes_.end(), [](const Probe& probe) {
      return probe.answer.sent > 1 && probe.answer.outcome != Outcome::silent;
    });
    const auto end = steady_clock::now() + kLinger;
    while (repeated && steady_clock::now() < end) {
      if (auto done = listen(kTick); !done) return done;
    }
    return {};
  }

  std::vector<Probe> probes_;
  Listener listener_;
  const ProbeOptions& options_;
};

}  // namespace

Result<std::vector<Answer>> probe(const std::vector<Target>& targets, const ProbeOptions& options,
                                  const Waiting& waiting) {
  const auto hops = find_hops(targets);
  if (!hops) return tl::unexpected<Error>(hops.error());
  std::vector<Probe> probes;
  std::vector<Address> sources;
  for (const Target& target : targets) {
    auto made = make_probe(target, options, *hops);
    if (!made) return tl::unexpected<Error>(made.error());
    const Address& source = made->answer.source;
    const bool listed = std::find(sources.begin(), sources.end(), source) != sources.end();
    if (source.family != 0 && !listed) sources.push_back(source);
    probes.push_back(std::move(*made));
  }
  auto listener = Listener::open(sources);
  if (!listener) return tl::unexpected<Error>(listener.error());
  Round round(std::move(probes), std::move(*listener), options);
  const auto done = round.run(waiting);
  round.take_back();
  if (!done) return tl::unexpected<Error>(done.error());
  return round.answers();
}

}  // namespace tfo::audit
