// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/keys/key.h"
#include "loader/result.h"
#include "loader/rotation/document.h"
#include "loader/rotation/seal.h"
#include "tools/farm_etcd.h"
#include "tools/farm_plan.h"

namespace tfo {

/// What lies in etcd in the place of a pool's document.
struct FoundDocument {
  std::string value;          // as it lies there
  rotation::Counter counter;  // by its readable header if it could not be opened
  std::string hash;           // empty: it could not be opened
  std::string why_not;        // then: why

  /// "1700000000.12 (hash ...)".
  std::string words() const;
};

/// A linearizable read of it; nothing: there is none. `key`: null: there is no farm key file.
Result<std::optional<FoundDocument>> find_document(FarmEtcd& etcd, const FarmPlan& plan,
                                                   const rotation::FarmKey* key);

/// The first document: of these keys (none: a random one), above `before` if there is one,
/// unless that could not be opened and says that it was made more than a day from now.
Result<rotation::Document> make_first(const FarmPlan& plan, const rotation::FarmKey& key,
                                      const std::vector<Key>& keys,
                                      const std::optional<FoundDocument>& before);

/// Writes it in the place of just what was found. When the outcome is not known the same write is
/// tried again, which can do nothing twice since it compares. What nobody can open any more goes
/// with it: all records, if the document before could not be opened.
Result<> write_first(FarmEtcd& etcd, const FarmPlan& plan, const rotation::FarmKey& key,
                     const rotation::Document& document,
                     const std::optional<FoundDocument>& before);

}  // namespace tfo
