// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sodium.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tfo {

/// Allocator that wipes what it frees, so that growing and destroying a buffer leaves nothing
/// behind.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) noexcept {}

  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, std::size_t n) noexcept {
    sodium_memzero(p, n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  template <class U>
  bool operator==(const WipingAllocator<U>&) const noexcept {
    return true;
  }
};

/// A string for JSON documents that hold keys (strings of up to 15 bytes live inside the object and
/// are not wiped; a key's text has 35).
using WipedString = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;

/// Text that holds keys. Wiped when destroyed, cannot be copied by accident and has no formatter,
/// so that it cannot slip into a log line or an error.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      text_ = std::move(other.text_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  std::string_view view() const { return text_; }
  const std::string& str() const { return text_; }
  /// To be filled in place, for instance by read(2).
  std::string& buffer() { return text_; }

  /// Overwrites the text, its unused capacity included, and empties it.
  void wipe() noexcept {
    text_.resize(text_.capacity());
    sodium_memzero(text_.data(), text_.size());
    text_.clear();
  }

 private:
  std::string text_;
};

}  // namespace tfo
