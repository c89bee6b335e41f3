// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace tfo::etcd {

/// The members' addresses, and which of them is used now: the same one until it fails, then the
/// next.
class Endpoints {
 public:
  /// At least one. `first` is taken modulo their count.
  Endpoints(std::vector<std::string> urls, size_t first)
      : urls_(std::move(urls)), current_(first % urls_.size()) {}

  size_t size() const { return urls_.size(); }
  size_t current() const { return current_; }
  size_t after(size_t index) const { return (index + 1) % urls_.size(); }
  const std::string& url(size_t index) const { return urls_[index]; }

  /// `index` failed: no longer used if it is the current one.
  void failed(size_t index) {
    if (index == current_) current_ = after(index);
  }

 private:
  std::vector<std::string> urls_;
  size_t current_;
};

}  // namespace tfo::etcd
