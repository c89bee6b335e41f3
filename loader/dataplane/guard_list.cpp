// SPDX-License-Identifier: BSD-2-Clause
// The operator's list, and the ring of events.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "loader/dataplane/guard_tables.h"
#include "loader/dataplane/map_set.h"
#include "loader/log.h"

namespace tfo {
namespace {

tfo_guard_list_key key_of(const ClientNetwork& network) {
  tfo_guard_list_key key{};
  key.length = network.length;
  std::memcpy(key.prefix, network.address.data(), sizeof(key.prefix));
  return key;
}

ClientNetwork network_of(const tfo_guard_list_key& key) {
  ClientNetwork network;
  network.length = key.length;
  std::memcpy(network.address.data(), key.prefix, sizeof(key.prefix));
  return network;
}

/// libbpf calls it with each event.
int hand_over(void* context, void* data, size_t size) {
  tfo_guard_event event{};
  if (size < sizeof(event)) return 0;
  std::memcpy(&event, data, sizeof(event));
  (*static_cast<std::function<void(const tfo_guard_event&)>*>(context))(event);
  return 0;
}

/// Sorted by network; what has ended is still in it.
Result<std::vector<ListedNetwork>> all_of(const Map& list) {
  const int fd = list.fd();
  std::vector<ListedNetwork> all;
  std::optional<tfo_guard_list_key> last;
  tfo_guard_list_key key{};
  while (bpf_map_get_next_key(fd, last ? &*last : nullptr, &key) == 0) {
    tfo_guard_list_entry entry{};
    if (bpf_map_lookup_elem(fd, &key, &entry) == 0) {
      all.push_back(
          {network_of(key), static_cast<tfo_guard_list_verdict>(entry.verdict), entry.until_ns});
    }
    last = key;
  }
  if (errno != ENOENT) return fail_errno("cannot read map " + list.name());
  std::ranges::sort(all, [](const auto& a, const auto& b) {
    return std::pair(a.network.address, a.network.length) <
           std::pair(b.network.address, b.network.length);
  });
  return all;
}

}  // namespace

Result<std::vector<ListedNetwork>> GuardTables::listed() const {
  auto all = all_of(maps_.guard.list);
  if (!all) return all;
  std::erase_if(*all, [now = now_ns()](const ListedNetwork& one) { return one.until_ns <= now; });
  return all;
}

bool GuardTables::is_listed(const ClientNetwork& network) const {
  const tfo_guard_list_key key = key_of(network);
  // The longest match answers: it is this one if it is as long.
  tfo_guard_list_entry entry{};
  return bpf_map_lookup_elem(maps_.guard.list.fd(), &key, &entry) == 0 &&
         entry.length == key.length;
}

Result<> GuardTables::list(const ListedNetwork& entry) const {
  const bool known = is_listed(entry.network);
  if (!known && maps_.control.guard_list() >= kMostListed) {
    // Some may have ended. Else what is there is not looked through for each that comes.
    if (auto purged = purge(); !purged) return purged;
    if (maps_.control.guard_list() >= kMostListed) {
      return fail("the operator's list is full with " + std::to_string(kMostListed) +
                  " networks: release some, or give one that holds several of them");
    }
  }
  const tfo_guard_list_key key = key_of(entry.network);
  const tfo_guard_list_entry value{entry.until_ns, static_cast<__u32>(entry.verdict), key.length};
  if (bpf_map_update_elem(maps_.guard.list.fd(), &key, &value, BPF_ANY) != 0) {
    return fail_errno("cannot write " + network_text(entry.network) + " to the operator's list");
  }
  if (!known) maps_.control.set_guard_list(maps_.control.guard_list() + 1);
  return {};
}

/// From the map and from `all`.
Result<> GuardTables::remove_ended(std::vector<ListedNetwork>& all) const {
  const uint64_t now = now_ns();
  for (const ListedNetwork& one : all) {
    const tfo_guard_list_key key = key_of(one.network);
    if (one.until_ns > now || bpf_map_delete_elem(maps_.guard.list.fd(), &key) == 0) continue;
    return fail_errno("cannot remove " + network_text(one.network) + " from the operator's list");
  }
  std::erase_if(all, [now](const ListedNetwork& one) { return one.until_ns <= now; });
  return {};
}

Result<bool> GuardTables::unlist(const ClientNetwork& network) const {
  const tfo_guard_list_key key = key_of(network);
  // The longest match answers a look-up; only deletion is exact.
  const bool was = bpf_map_delete_elem(maps_.guard.list.fd(), &key) == 0;
  if (!was && errno != ENOENT) {
    return fail_errno("cannot remove " + network_text(network) + " from the operator's list");
  }
  // The programs look at the list only while it has entries.
  const uint32_t count = maps_.control.guard_list();
  if (was && count != 0) maps_.control.set_guard_list(count - 1);
  return was;
}

Result<> GuardTables::purge() const {
  auto all = all_of(maps_.guard.list);
  if (!all) return tl::unexpected(all.error());
  if (auto removed = remove_ended(*all); !removed) return removed;
  maps_.control.set_guard_list(static_cast<uint32_t>(all->size()));
  return {};
}

Result<> GuardTables::copy_list(const Map& from) const {
  const MapShape& there = from.shape();
  const MapShape& here = maps_.guard.list.shape();
  if (there.key_size != here.key_size || there.value_size != here.value_size) {
    log_warning(
        "guard: the operator's list of the maps before has another layout and is not taken over: "
        "say again what was denied and allowed");
    return {};
  }
  const auto all = all_of(from);
  if (!all) return tl::unexpected(all.error());
  for (const ListedNetwork& one : *all) {
    if (one.until_ns <= now_ns()) continue;
    if (auto done = list(one); !done) return done;
  }
  return {};
}

Result<> GuardTables::open_ring() {
  ring_ = ring_buffer__new(maps_.guard.events.fd(), hand_over, &take_, nullptr);
  return ring_ != nullptr ? Result<>{} : fail_errno("cannot open the ring of guard events");
}

int GuardTables::events_fd() const { return ring_buffer__epoll_fd(ring_); }

Result<> GuardTables::take_events(const std::function<void(const tfo_guard_event&)>& take) {
  take_ = take;
  const int taken = ring_buffer__consume(ring_);
  if (taken < 0) return fail_errno("cannot read the ring of guard events", taken);
  return {};
}

}  // namespace tfo
