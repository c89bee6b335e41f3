// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cerrno>
#include <memory>
#include <utility>

#include "loader/result.h"

namespace tfo {

/// Owns a skeleton that bpftool generated (T::open, T::load, T::destroy) in libbpf's usual order:
/// open, set sizes and read-only data, load. Movable, because the skeleton itself stays in place.
template <class T>
class Skeleton {
 public:
  static Result<Skeleton> open() {
    Skeleton skeleton(T::open(nullptr));
    if (!skeleton.object_) return fail_errno("cannot read the embedded BPF object");
    return skeleton;
  }

  /// Creates the maps that have no descriptor yet and gives the programs to the kernel.
  Result<> load() {
    const int error = T::load(object_.get());
    if (error == -EPERM) {
      return fail(
          "the kernel refuses to load BPF programs (EPERM): run as root or grant CAP_BPF, "
          "CAP_NET_ADMIN and CAP_PERFMON");
    }
    if (error != 0) {
      return fail_errno(
          "the kernel does not load the BPF programs (log_level \"debug\" shows the verifier's "
          "log)",
          error);
    }
    return {};
  }

  T* operator->() const { return object_.get(); }
  T& operator*() const { return *object_; }

 private:
  struct Destroy {
    void operator()(T* object) const { T::destroy(object); }
  };
  explicit Skeleton(T* object) : object_(object) {}
  std::unique_ptr<T, Destroy> object_;
};

}  // namespace tfo
