// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/schedule.h"

namespace tfo::test {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kScheduleSecond = AlarmWorld::kSecond;
constexpr uint64_t kTrip = 40 * kMs;

/// When Linux sends again what is not answered, in seconds after the first: tcp_synack_retries of
/// 5, and tcp_syn_retries of 6 with one more.
constexpr uint64_t kAgain[] = {1, 3, 7, 15, 31, 63};

/// Between 0 and `below`, another one for each connection.
uint64_t spread(const Segment& syn, uint64_t below) {
  return (syn.sequence * uint64_t{0x9e3779b97f4a7c15} >> 32) % below;
}

void succeed(Schedule& schedule, uint64_t at, const Segment& syn) {
  schedule.leave(at, syn);
  schedule.arrive(at + kTrip, answer_to(syn));
}

void time_out(Schedule& schedule, uint64_t at, const Segment& syn) {
  schedule.leave(at, syn);
  for (const uint64_t again : kAgain) schedule.leave(at + again * kScheduleSecond, syn);
}

void be_refused(Schedule& schedule, uint64_t at, const Segment& syn) {
  schedule.leave(at, syn);
  schedule.arrive(at + kTrip, refusal_of(syn));
}

/// Our third segment is lost again and again.
void hear_it_again(Schedule& schedule, uint64_t at, const Segment& syn) {
  succeed(schedule, at, syn);
  for (int i = 0; i < 5; i++) {
    schedule.arrive(at + kTrip + kAgain[i] * kScheduleSecond, answer_to(syn));
  }
}

/// The first SYNs are lost, each sent again, and the last is answered.
void be_heard_late(Schedule& schedule, uint64_t at, const Segment& syn) {
  const uint64_t heard = spread(syn, 6);
  schedule.leave(at, syn);
  for (uint64_t i = 0; i <= heard; i++) schedule.leave(at + kAgain[i] * kScheduleSecond, syn);
  schedule.arrive(at + kAgain[heard] * kScheduleSecond + kTrip, answer_to(syn));
}

void be_answered_late(Schedule& schedule, uint64_t at, const Segment& syn) {
  schedule.leave(at, syn);
  schedule.arrive(at + 31 * kScheduleSecond + spread(syn, 32 * kScheduleSecond), answer_to(syn));
}

/// TCP_DEFER_ACCEPT: the server lets the third segment go by and asks again when time is up.
void be_deferred(Schedule& schedule, uint64_t at, const Segment& syn) {
  succeed(schedule, at, syn);
  schedule.arrive(at + 31 * kScheduleSecond, answer_to(syn));
  schedule.arrive(at + 63 * kScheduleSecond, answer_to(syn));
}

/// Two addresses are tried (RFC 8305), and the second one's answer finds nobody any more.
void race(Schedule& schedule, uint64_t at, const Segment& syn) {
  Segment first = syn;
  first.ipv6 = true;
  schedule.leave(at, first);
  schedule.leave(at + 250 * kMs, syn);
  schedule.arrive(at + 290 * kMs, answer_to(syn));
  schedule.arrive(at + 300 * kMs + spread(syn, 12 * kScheduleSecond), answer_to(first));
}

/// A SYN proxy or a firewall answers with a wrong number on purpose; the client resets, and asks
/// again.
void meet_a_proxy(Schedule& schedule, uint64_t at, const Segment& syn) {
  schedule.leave(at, syn);
  schedule.arrive(at + kTrip, answer_to(syn, 0x40000000));
  schedule.leave(at + kScheduleSecond, syn);
  schedule.arrive(at + kScheduleSecond + kTrip, answer_to(syn));
}

/// A scanner at home: few ports are open, most are closed or silent.
void scan(Schedule& schedule, uint64_t at, const Segment& syn) {
  Segment probe = syn;
  for (uint16_t port = 0; port < 4; port++) {
    probe.destination_port = static_cast<uint16_t>(20 + port);
    schedule.leave(at + port * kMs, probe);
    if (port == 0) schedule.arrive(at + kTrip, answer_to(probe));
    if (port == 1 || port == 2) schedule.arrive(at + kTrip, refusal_of(probe));
  }
}

void check_health(Schedule& schedule, uint64_t at, const Segment& syn) {
  Segment check = syn;
  check.source = kShop;
  succeed(schedule, at, check);
}

/// Data in the SYN, and a cookie asked for.
void open_fast(Schedule& schedule, uint64_t at, const Segment& syn) {
  Segment first = syn;
  first.fast_open = true;
  first.payload = 400;
  schedule.leave(at, first);
  Segment answer = answer_to(first, 400);
  answer.fast_open = true;
  schedule.arrive(at + kTrip, answer);
  answer.fast_open = false;
  answer.flags = kAck | kPsh;
  answer.payload = 1400;
  schedule.arrive(at + kTrip + kMs, answer);
}

}  // namespace

void Schedule::play(AlarmWorld& world, uint64_t until) {
  while (!waiting_.empty() && waiting_.top().at <= until) {
    const Due due = waiting_.top();
    waiting_.pop();
    world.run_until(due.at);
    if (due.leaves) {
      world.leave(due.segment);
    } else {
      world.arrive(due.segment);
    }
  }
  world.run_until(until);
}

Segment answer_to(const Segment& syn, uint32_t past) {
  Segment answer = syn;
  std::swap(answer.source, answer.destination);
  std::swap(answer.source_port, answer.destination_port);
  answer.sequence = ~syn.sequence;
  answer.ack = syn.sequence + 1 + past;
  answer.flags = kSyn | kAck;
  answer.fast_open = false;
  answer.payload = 0;
  return answer;
}

Segment refusal_of(const Segment& syn) {
  Segment refusal = answer_to(syn);
  refusal.flags = kRst | kAck;
  refusal.sequence = 0;
  return refusal;
}

const std::vector<Manner>& honest_manners() {
  static const std::vector<Manner> kManners = {
      {"connections that succeed", succeed},
      {"connections that nobody answers", time_out},
      {"connections that are refused", be_refused},
      {"SYN-ACKs sent 1, 2, 4, 8, 16 s later again", hear_it_again},
      {"SYNs sent again until one is answered", be_heard_late},
      {"SYN-ACKs up to 63 s late", be_answered_late},
      {"servers that defer", be_deferred},
      {"happy eyeballs", race},
      {"SYN proxies with a wrong number", meet_a_proxy},
      {"a port scan that leaves", scan},
      {"health checks from a VIP's own address", check_health},
      {"Fast Open", open_fast},
  };
  return kManners;
}

}  // namespace tfo::test
