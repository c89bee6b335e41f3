// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/listener_iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <endian.h>
#include <sodium.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "bpf/tfo_listeners.h"
#include "loader/dataplane/fd.h"
#include "loader/dataplane/libbpf_log.h"
#include "loader/dataplane/skeleton.h"
#include "loader/keys/key.h"

// The generated header uses the types of the one above.
#include <tfo_listeners.skel.h>

namespace tfo {
namespace {

/// Records that one read asks for: behind the last listener the kernel goes on through as many
/// connections as still fit.
constexpr size_t kBatch = 16;
/// Nobody has so many; a kernel that never ends its list must not hold us.
constexpr size_t kMost = 100'000;

/// Wiped, since listeners' own keys pass through it.
struct Records {
  std::array<tfo_listener_record, kBatch> all{};
  ~Records() { sodium_memzero(all.data(), sizeof(all)); }
};

Key key_of(const __u64 (&words)[2]) {
  Key::Bytes bytes{};
  for (size_t i = 0; i < 2; ++i) {
    const uint64_t word = htole64(words[i]);
    std::memcpy(bytes.data() + 8 * i, &word, sizeof(word));
  }
  Key key(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return key;
}

Listener listener_of(const tfo_listener_record& record) {
  Listener out{
      .address = {},
      .port = record.port,
      .backlog = record.backlog,
      .accept_queue = record.accept_queue,
      .fast_open = FastOpenQueue{
          .limit = record.fastopen_limit, .pending = record.fastopen_pending, .own_keys = {}}};
  if (record.family == AF_INET6) {
    std::copy_n(record.address, 16, out.address.begin());
  } else {
    out.address[10] = out.address[11] = 0xff;
    std::copy_n(record.address, 4, out.address.begin() + 12);
  }
  const size_t keys = std::min<size_t>(record.own_keys, TFO_LISTENER_KEYS);
  for (size_t i = 0; i < keys; ++i) {
    out.fast_open->own_keys.push_back(key_of(record.keys[i]).fingerprint());
  }
  return out;
}

}  // namespace

struct ListenerIterator::Program {
  Skeleton<tfo_listeners> skeleton;
  Fd link;
};

ListenerIterator::ListenerIterator(std::unique_ptr<Program> program)
    : program_(std::move(program)) {}

ListenerIterator::~ListenerIterator() = default;

Result<std::unique_ptr<ListenerIterator>> ListenerIterator::load() {
  route_libbpf_log();
  auto skeleton = Skeleton<tfo_listeners>::open();
  if (!skeleton) return tl::unexpected(skeleton.error());
  if (auto done = skeleton->load(); !done) return tl::unexpected(done.error());
  const int program = bpf_program__fd((*skeleton)->progs.tfo_listeners);
  Fd link(bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr));
  if (!link) return fail_errno("the kernel has no iterator over TCP sockets");
  auto made = std::make_unique<Program>(Program{std::move(*skeleton), std::move(link)});
  return std::unique_ptr<ListenerIterator>(new ListenerIterator(std::move(made)));
}

Result<std::vector<Listener>> ListenerIterator::listeners() const {
  const Fd list(bpf_iter_create(program_->link.get()));
  if (!list) return fail_errno("cannot list the listeners");
  std::vector<Listener> all;
  Records records;
  while (all.size() < kMost) {
    const ssize_t got = read(list.get(), records.all.data(), sizeof(records.all));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno("cannot read the list of listeners");
    if (got == 0) return all;
    const size_t count = static_cast<size_t>(got) / sizeof(tfo_listener_record);
    for (size_t i = 0; i < count; ++i) {
      if (records.all[i].family == 0) return all;
      all.push_back(listener_of(records.all[i]));
    }
  }
  return all;
}

}  // namespace tfo
