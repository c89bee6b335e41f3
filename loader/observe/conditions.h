// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tfo {

enum class Severity { kWarning, kCritical };

/// "warning" or "critical".
std::string_view to_string(Severity severity);

/// A kind of thing that can be wrong with a running tfod. Ids are metric labels: append-only.
struct ConditionKind {
  std::string_view id;
  Severity severity;
  std::string_view sentence;
};

/// Every kind there is, in the order in which they are shown.
const std::vector<ConditionKind>& condition_kinds();

/// One of them, raised.
struct Condition {
  std::string id;
  std::string subject;  // what it is about: an interface, a pool, a namespace; may be empty
  Severity severity = Severity::kWarning;
  int64_t since = 0;     // unix seconds
  std::string evidence;  // what was seen, and what to do; without_keys()
};

/// The one place that knows what is wrong. Raising what is raised already only renews its evidence;
/// each change is told to `changed` once. Not thread-safe.
class Conditions {
 public:
  using Clock = std::function<int64_t()>;  // unix seconds
  using Listener = std::function<void(const Condition&, bool raised)>;

  explicit Conditions(Clock clock, Listener changed = {});

  /// An id that is not in condition_kinds() is taken as a warning; it has no metric.
  void raise(const std::string& id, const std::string& subject, const std::string& evidence);
  void clear(const std::string& id, const std::string& subject);
  /// Whatever subject it has.
  void clear_all(const std::string& id);
  /// raise() if `active`, else clear().
  void set(const std::string& id, const std::string& subject, bool active,
           const std::string& evidence);

  bool active(const std::string& id) const;
  std::vector<Condition> list() const;  // by id, then subject

 private:
  Clock clock_;
  Listener changed_;
  std::map<std::pair<std::string, std::string>, Condition> raised_;
};

}  // namespace tfo
