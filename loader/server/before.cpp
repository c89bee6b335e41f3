// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/before.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "loader/keys/private_file.h"
#include "loader/server/server_bit.h"

namespace tfo {
namespace {

/// Namespaces are at most kMaxNamespaces, each takes some 200 bytes.
constexpr size_t kMaxSize = 256 * 1024;

Result<Before> look(const NetworkNamespace& ns) {
  auto keys = ns.keys();
  if (!keys) return tl::unexpected(keys.error());
  const auto bits = ns.fastopen_bits();
  if (!bits) return tl::unexpected(bits.error());
  return Before{.netns = ns.path(),
                .cookie = ns.cookie(),
                .keys = std::move(*keys),
                .server_bit = (*bits & kFastopenServer) != 0};
}

bool same_place(const Before& before, const NetworkNamespace& ns) {
  return before.netns == ns.path() && before.cookie == ns.cookie();
}

Result<> put_bit(const NetworkNamespace& ns, bool on) {
  const auto bits = ns.fastopen_bits();
  if (!bits) return tl::unexpected(bits.error());
  const unsigned next = on ? *bits | kFastopenServer : *bits & ~kFastopenServer;
  return next == *bits ? Result<>() : ns.set_fastopen_bits(next);
}

/// The bit goes first where it goes, last where it comes: no cookie is minted under a key that is
/// about to be replaced.
Result<> put_back(const Before& before, const NetworkNamespace& ns) {
  if (!before.server_bit) {
    if (auto put = put_bit(ns, false); !put) return put;
  }
  if (!before.keys.empty()) {
    if (auto put = ns.set_keys(before.keys); !put) return put;
  }
  return before.server_bit ? put_bit(ns, true) : Result<>();
}

Restored restored(const Before& before, const NetworkNamespace& ns) {
  const auto put = put_back(before, ns);
  if (!put) return {.netns = ns.label(), .detail = put.error().message, .done = false};
  return {.netns = ns.label(),
          .detail = fmt::format(
              "server bit {}, {}", before.server_bit ? "on" : "off",
              before.keys.empty()
                  ? "tcp_fastopen_key stays: there was none, and the kernel cannot forget one"
                  : "tcp_fastopen_key " + before.keys.front().fingerprint() + " as before"),
          .done = true};
}

}  // namespace

Result<BeforeState> BeforeFile::load() const {
  auto text = read_private_file(path_, kMaxSize, "replace the keys");
  if (!text) return tl::unexpected(text.error());
  const std::optional<WipedString>& document = *text;
  if (!document) return BeforeState{.boot_id = boot_id_, .namespaces = {}};
  auto state = decode_before(*document);
  if (!state) {
    return tl::unexpected(
        std::move(state.error())
            .in(path_ + " (move it away to let tfod remember anew what the servers hold now)"));
  }
  if (state->boot_id != boot_id_) return BeforeState{.boot_id = boot_id_, .namespaces = {}};
  return state;
}

Result<> BeforeFile::save(const BeforeState& state) const {
  if (state.namespaces.empty()) return remove_private_file(path_);
  return write_private_file(path_, encode_before(state));
}

Result<std::vector<Before>> BeforeFile::remember(const Namespaces& namespaces) {
  auto state = load();
  if (!state) return tl::unexpected(state.error());
  std::vector<Before> fresh;
  for (const auto& [path, ns] : namespaces) {
    std::vector<Before>& all = state->namespaces;
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const Before& one) { return same_place(one, *ns); });
    if (known) continue;
    auto now = look(*ns);
    if (!now) return tl::unexpected(now.error());
    // One of that name which is no more.
    std::erase_if(all, [&](const Before& one) { return one.netns == now->netns; });
    all.push_back(*now);
    fresh.push_back(std::move(*now));
  }
  if (fresh.empty()) return fresh;
  if (auto saved = save(*state); !saved) return tl::unexpected(saved.error());
  return fresh;
}

Result<std::vector<Restored>> BeforeFile::restore(const Namespaces& namespaces) {
  auto state = load();
  if (!state) return tl::unexpected(state.error());
  std::vector<Restored> all;
  std::erase_if(state->namespaces, [&](const Before& one) {
    const auto at = namespaces.find(one.netns);
    if (at == namespaces.end() || at->second->gone() || !same_place(one, *at->second)) return false;
    all.push_back(restored(one, *at->second));
    return all.back().done;
  });
  if (all.empty()) return all;
  if (auto saved = save(*state); !saved) return tl::unexpected(saved.error());
  return all;
}

Result<std::vector<Restored>> BeforeFile::restore_all() {
  auto state = load();
  if (!state) return tl::unexpected(state.error());
  Namespaces found;
  std::vector<Restored> missing;
  for (const Before& one : state->namespaces) {
    auto opened = NetworkNamespace::open(one.netns, true);
    std::string why = opened ? "" : opened.error().message;
    if (opened && !same_place(one, **opened)) why = "it is another namespace than the one of tfod";
    if (why.empty()) {
      found.emplace(one.netns, std::move(*opened));
    } else {
      missing.push_back(
          {.netns = one.netns.empty() ? "self" : one.netns, .detail = why, .done = false});
    }
  }
  auto all = restore(found);
  if (all) all->insert(all->end(), missing.begin(), missing.end());
  return all;
}

}  // namespace tfo
