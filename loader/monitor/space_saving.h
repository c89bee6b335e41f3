// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace tfo {

/// The heaviest keys of a stream in fixed memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005),
/// with weights. A key that has more than total / capacity of the weight is always there; a count
/// is never too small, and by at most `error` too large.
///
/// `Hash` maps a Key to 64 bits and should be keyed: keys come from attackers.
template <class Key, class Hash>
class SpaceSaving {
 public:
  struct Entry {
    Key key{};
    uint64_t count = 0;
    uint64_t error = 0;
  };

  /// `capacity`: keys that are counted, 1 to 16,384.
  explicit SpaceSaving(uint16_t capacity, Hash hash = {})
      : capacity_(capacity), hash_(std::move(hash)) {}

  void add(const Key& key, uint64_t weight) {
    total_ += weight;
    if (places_.empty()) places_.resize(2 * std::bit_ceil(uint32_t{capacity_}), kFree);
    const size_t place = find(key);
    uint16_t at = places_[place];
    if (at == kFree) at = entries_.size() < capacity_ ? append(key, place) : replace(key);
    entries_[at].count += weight;
    sink(at);
  }

  /// The heaviest ones, most first; where counts are equal, what is surer first.
  std::vector<Entry> top(size_t most) const {
    std::vector<Entry> sorted = entries_;
    most = std::min(most, sorted.size());
    std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(most),
                      sorted.end(), [](const Entry& a, const Entry& b) {
                        return a.count != b.count ? a.count > b.count : a.error < b.error;
                      });
    sorted.resize(most);
    return sorted;
  }

  uint64_t total() const { return total_; }
  size_t size() const { return entries_.size(); }
  /// A key that is not there has at most that much.
  uint64_t unseen() const { return entries_.size() < capacity_ ? 0 : entries_[0].count; }
  /// Bytes that it has taken.
  size_t memory() const {
    return entries_.capacity() * sizeof(Entry) + places_.capacity() * sizeof(uint16_t);
  }

 private:
  static constexpr uint16_t kFree = 0xffff;

  size_t home(const Key& key) const { return hash_(key) & (places_.size() - 1); }
  size_t after(size_t place) const { return (place + 1) & (places_.size() - 1); }

  /// Where the key's entry is named, or the free place where it would be.
  size_t find(const Key& key) const {
    size_t place = home(key);
    while (places_[place] != kFree && entries_[places_[place]].key != key) place = after(place);
    return place;
  }

  /// entries_ is a heap with the least count first; places_ names where an entry stands in it.
  uint16_t append(const Key& key, size_t place) {
    auto at = static_cast<uint16_t>(entries_.size());
    entries_.push_back({key, 0, 0});
    places_[place] = at;
    // With count 0 it belongs at the top, whatever stands there.
    while (at != 0) {
      const auto parent = static_cast<uint16_t>((at - 1) / 2);
      exchange(at, parent);
      at = parent;
    }
    return at;
  }

  /// The lightest key makes place and leaves its count behind, as the newcomer's possible error.
  uint16_t replace(const Key& key) {
    forget(find(entries_[0].key));
    entries_[0] = {key, entries_[0].count, entries_[0].count};
    places_[find(key)] = 0;
    return 0;
  }

  /// Frees a place and moves up those that had to give way to it.
  void forget(size_t hole) {
    for (size_t place = after(hole); places_[place] != kFree; place = after(place)) {
      const size_t wanted = home(entries_[places_[place]].key);
      const size_t mask = places_.size() - 1;
      if (((place - wanted) & mask) < ((place - hole) & mask)) continue;
      places_[hole] = places_[place];
      hole = place;
    }
    places_[hole] = kFree;
  }

  void exchange(uint16_t a, uint16_t b) {
    std::swap(places_[find(entries_[a].key)], places_[find(entries_[b].key)]);
    std::swap(entries_[a], entries_[b]);
  }

  void sink(uint16_t at) {
    for (;;) {
      size_t least = at;
      const size_t left = 2 * size_t{at} + 1;
      for (const size_t child : {left, left + 1}) {
        if (child < entries_.size() && entries_[child].count < entries_[least].count) least = child;
      }
      if (least == at) return;
      exchange(at, static_cast<uint16_t>(least));
      at = static_cast<uint16_t>(least);
    }
  }

  uint16_t capacity_;
  Hash hash_;
  std::vector<Entry> entries_;
  std::vector<uint16_t> places_;  // open addressing, at most half full
  uint64_t total_ = 0;
};

}  // namespace tfo
