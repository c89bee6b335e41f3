// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/file_store.h"

#include <utility>

namespace tfo {

FileStore::FileStore(std::string path, Rotation rotation)
    : file_(std::move(path)), rotation_(std::move(rotation)) {}

Result<> FileStore::open(const Moment& now, const std::vector<Key>& host) {
  if (auto policy = rotation_.policy().check(); !policy) {
    return policy;
  }
  if (auto locked = file_.lock(); !locked) {
    return locked;
  }
  auto loaded = file_.load();
  if (!loaded) {
    return tl::unexpected(std::move(loaded.error()));
  }
  if (std::optional<RotationState>& saved = *loaded) {
    state_ = rotation_.reopened(std::move(*saved), now);
    // Only times can have changed: worth keeping, but a disk that is full or read-only is no reason
    // to start without keys.
    unsaved_ = true;
    return {};
  }
  auto first = rotation_.first(now, host);
  if (!first) {
    return tl::unexpected(std::move(first.error()).in("keyring " + file_.path()));
  }
  auto saved = commit(std::move(*first), now);
  made_ = saved.has_value();
  return saved;
}

void FileStore::abandon() {
  if (made_) file_.remove();
  made_ = false;
}

Result<bool> FileStore::step(const Moment& now, const Confirmation& confirmed) {
  const bool changed = rotation_.maintain(state_, now);
  unsaved_ = unsaved_ || changed;
  if (auto next = rotation_.advance(state_, now, confirmed.covers(state_.ring))) {
    if (auto saved = commit(std::move(*next), now); !saved) {
      return tl::unexpected(std::move(saved.error()));
    }
    return true;
  }
  if (unsaved_) {
    if (auto saved = file_.save(state_); !saved) {
      return tl::unexpected(std::move(saved.error()));
    }
    unsaved_ = false;
  }
  return changed;
}

Result<> FileStore::rotate(const Moment& now) {
  unsaved_ = rotation_.maintain(state_, now) || unsaved_;
  auto next = rotation_.rotate(state_, now);
  if (!next) {
    return tl::unexpected(std::move(next.error()));
  }
  return commit(std::move(*next), now);
}

Result<> FileStore::import(const Moment& now, const std::vector<Key>& keys) {
  unsaved_ = rotation_.maintain(state_, now) || unsaved_;
  auto next = rotation_.import(state_, now, keys);
  if (!next) {
    return tl::unexpected(std::move(next.error()));
  }
  return commit(std::move(*next), now);
}

std::optional<int64_t> FileStore::next_wakeup() const { return rotation_.next_wakeup(state_); }

std::optional<int64_t> FileStore::next_rotation() const { return rotation_.next_rotation(state_); }

Result<> FileStore::commit(RotationState next, const Moment& now) {
  next.anchor = {.unix_s = now.unix_s, .boot_s = now.boot_s, .boot_id = now.boot_id};
  if (auto sound = next.ring.check(); !sound) {
    return tl::unexpected(std::move(sound.error()).in("keyring " + file_.path()));
  }
  if (auto saved = file_.save(next); !saved) {
    return saved;
  }
  state_ = std::move(next);
  unsaved_ = false;
  return {};
}

}  // namespace tfo
