// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <set>
#include <string>

#include "loader/rotation/document.h"
#include "tools/farm_status.h"

namespace tfo {

/// How far the farm is with what was asked of it.
struct FarmStep {
  enum class Kind {
    kPending,    // the rotator has not taken it yet
    kGoesOn,     // it is being done
    kDone,       // and every member has acknowledged it
    kRefused,    // by the rotator, with its reason
    kFailed,     // it could not be asked
    kTakenBack,  // it was begun, and somebody aborted it
    kHeld,       // past its deadline: it waits for members
  };
  Kind kind = Kind::kPending;
  std::string why;

  bool ended() const { return kind != Kind::kPending && kind != Kind::kGoesOn; }
};

/// What a command waits for: the request of this id, and its effect on the farm. Made from what was
/// known before it was asked, so that an older rotation is not taken for it.
class FarmGoal {
 public:
  /// A new current generation that all members hold.
  static FarmGoal rotation(const FarmStatus& before);
  /// The document under line `line` of the farm key file, with a new current generation too if
  /// `all_revoked`.
  static FarmGoal rekey(const FarmStatus& before, int64_t line, bool all_revoked);

  /// The id that tfod gave the request.
  void asked(const std::string& id) { id_ = id; }
  const std::string& id() const { return id_; }
  /// Of the document that was known before.
  const rotation::Counter& before() const { return before_; }
  /// Nobody knows whether it was asked: finds out by what tfod has been asked since.
  void find(const FarmStatus& now);

  FarmStep look(const FarmStatus& now);

 private:
  explicit FarmGoal(const FarmStatus& before);
  bool reached(const FarmStatus& now) const;
  /// Has the farm left `steady` since, however briefly?
  bool left_steady(const FarmStatus& now) const;

  std::string kind_;
  std::string id_;
  rotation::Counter before_;
  std::set<std::string> generations_;
  std::set<std::string> asked_before_;
  int64_t line_ = 0;  // 0: no matter
  bool fresh_ = true;
  bool moved_ = false;
};

}  // namespace tfo
