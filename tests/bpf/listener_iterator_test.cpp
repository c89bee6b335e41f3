// SPDX-License-Identifier: BSD-2-Clause
// The iterator over listeners, on whichever kernel this runs.
#include "loader/dataplane/listener_iterator.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "loader/keys/key.h"
#include "tests/support/sandbox.h"

#ifndef TCP_FASTOPEN_KEY
#define TCP_FASTOPEN_KEY 33
#endif

namespace tfo::test {
namespace {

Fd listen_on(uint16_t port, int backlog, int qlen, const std::vector<uint8_t>& keys = {}) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (qlen != 0) setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN, &qlen, sizeof(qlen));
  if (!keys.empty()) {
    setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_KEY, keys.data(),
               static_cast<socklen_t>(keys.size()));
  }
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&place), sizeof(place)) != 0) return {};
  if (listen(fd.get(), backlog) != 0) return {};
  return fd;
}

Listener expected(uint16_t port, uint32_t backlog, const FastOpenQueue& queue) {
  return {.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1},
          .port = port,
          .backlog = backlog,
          .accept_queue = 0,
          .fast_open = queue};
}

TEST(ListenerIterator, TellsTheQueueAndTheKeysOfEveryListener) {
  const PrivateNetns netns;
  if (!netns.ok()) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(shell("ip link set lo up"));
  const auto iterator = ListenerIterator::load();
  ASSERT_TRUE(iterator) << iterator.error().message;
  EXPECT_EQ((*iterator)->listeners()->size(), 0U) << "another namespace's do not show";

  std::vector<uint8_t> keys = {0x33, 0x22, 0x11, 0x00, 0x77, 0x66, 0x55, 0x44,
                               0xbb, 0xaa, 0x99, 0x88, 0xff, 0xee, 0xdd, 0xcc};
  const std::string first = Key::parse("00112233-44556677-8899aabb-ccddeeff")->fingerprint();
  const Fd one = listen_on(80, 33, 7, keys);
  keys.insert(keys.end(), keys.rbegin(), keys.rend());
  Key::Bytes backup{};
  std::copy_n(keys.begin() + 16, 16, backup.begin());
  const Fd two = listen_on(81, 34, 8, keys);
  const Fd none = listen_on(82, 35, 0);
  ASSERT_TRUE(one && two && none);
  // A connection ends the list.
  const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(82);
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&place), sizeof(place)), 0);
  // The client is done a little before the server has its last ACK.
  pollfd queued{.fd = none.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&queued, 1, 10'000), 1);

  auto all = (*iterator)->listeners();
  ASSERT_TRUE(all) << all.error().message;
  std::sort(all->begin(), all->end(),
            [](const Listener& a, const Listener& b) { return a.port < b.port; });
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ((*all)[0], expected(80, 33, {.limit = 7, .pending = 0, .own_keys = {first}}));
  EXPECT_EQ(
      (*all)[1],
      expected(81, 34, {.limit = 8, .pending = 0, .own_keys = {first, Key(backup).fingerprint()}}));
  EXPECT_EQ((*all)[2].accept_queue, 1U);
  EXPECT_EQ((*all)[2].fast_open->limit, 0U);
}

TEST(ListenerIterator, TellsAllOfMany) {
  const PrivateNetns netns;
  if (!netns.ok()) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(shell("ip link set lo up"));
  const auto iterator = ListenerIterator::load();
  ASSERT_TRUE(iterator) << iterator.error().message;
  std::vector<Fd> many;
  for (uint16_t port = 1000; port < 1500; ++port) {
    many.push_back(listen_on(port, 10, 5));
    ASSERT_TRUE(many.back());
  }
  const auto all = (*iterator)->listeners();
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->size(), many.size());
}

}  // namespace
}  // namespace tfo::test
