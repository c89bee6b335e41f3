// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <vector>

#include "loader/result.h"
#include "loader/server/listeners.h"

namespace tfo {

/// bpf/tfo_listeners.bpf.c, loaded once for all namespaces. Needs a kernel with BTF
/// (CONFIG_DEBUG_INFO_BTF), CAP_BPF and CAP_PERFMON.
class ListenerIterator {
 public:
  static Result<std::unique_ptr<ListenerIterator>> load();
  ~ListenerIterator();
  ListenerIterator(const ListenerIterator&) = delete;
  ListenerIterator& operator=(const ListenerIterator&) = delete;

  /// The listeners of the calling thread's network namespace. Costs a pass over the kernel's
  /// listener table and, on an idle host, its empty connection table.
  Result<std::vector<Listener>> listeners() const;

 private:
  struct Program;
  explicit ListenerIterator(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace tfo
