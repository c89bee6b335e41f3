// SPDX-License-Identifier: BSD-2-Clause
// A name server that does not answer must not stop the event loop.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/support/etcd_session.h"

namespace {

constexpr char kSlowName[] = "slow.test";
std::atomic<int> resolving = 0;
std::atomic<bool> released = false;

}  // namespace

#if !defined(__SANITIZE_ADDRESS__)  // which has a getaddrinfo of its own

/// Stands before the C library's for the whole test program.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): netdb.h's are reserved
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  if (node != nullptr && std::strcmp(node, kSlowName) == 0) {
    resolving++;
    while (!released) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    resolving--;
    return EAI_AGAIN;
  }
  using Function = decltype(&getaddrinfo);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, result);
}

namespace tfo::test {
namespace {

TEST(EtcdResolver, NameServerThatHangsDoesNotStopTheLoop) {
  using Clock = std::chrono::steady_clock;
  etcd::Config config;
  config.endpoints = {"http://slow.test:2379"};
  config.timeouts.connect = std::chrono::milliseconds(200);
  EtcdSession session(config);
  Clock::time_point last = Clock::now();
  auto longest = Clock::duration::zero();
  bool failed = false;
  const auto call = etcd::put(session.client(), {"/tfo/a", "1", 0}, [&](auto outcome) {
    failed = !outcome;
    EXPECT_EQ(outcome.error().kind, etcd::FaultKind::kUnreachable);
  });
  EXPECT_TRUE(session.until([&] {
    const Clock::time_point now = Clock::now();
    longest = std::max(longest, now - last);
    last = now;
    return failed;
  }));
  EXPECT_GT(resolving, 0) << "the name server was to hang all the time";
  EXPECT_LT(longest, std::chrono::seconds(2));
  released = true;
  EXPECT_TRUE(session.until([] { return resolving == 0; }));
}

}  // namespace
}  // namespace tfo::test

#endif
