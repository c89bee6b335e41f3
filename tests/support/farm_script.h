// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tfo::test {

inline constexpr const char* kOldKey = "1111111111111111";
inline constexpr const char* kNewKey = "2222222222222222";
inline constexpr const char* kAskedId = "aaaaaaaaaaaaaaaa";

/// tfod's answers to "farm-status" as a farm of lb1, s1 and s2 would change them.
class FarmScript {
 public:
  FarmScript() { set("steady", 5, kOldKey); }

  /// The document: its state, sequence and current generation. Everybody has acknowledged it.
  FarmScript& set(const std::string& state, int sequence, const std::string& current) {
    all_["state"] = state;
    all_["counter"] = "1700000000." + std::to_string(sequence);
    all_["since"] = 1700000100;
    all_["generations"] = nlohmann::json::array();
    add_generation(kOldKey, "11aa11aa", current);
    if (state != "steady" || current != kOldKey) add_generation(kNewKey, "22bb22bb", current);
    lag({});
    return *this;
  }
  /// These have not.
  FarmScript& lag(const std::vector<std::string>& nodes) {
    all_["members"] = nlohmann::json::array();
    for (const std::string node : {"lb1", "s1", "s2"}) {
      const bool missing = std::find(nodes.begin(), nodes.end(), node) != nodes.end();
      all_["members"].push_back({{"node", node},
                                 {"balancer", node == "lb1"},
                                 {"server", node != "lb1"},
                                 {"live", !missing},
                                 {"joined_at", 1699990000},
                                 {"last_seen", missing ? 1700000050 : 1700000110},
                                 {"acked", !missing},
                                 {"ack", missing ? "1700000000.4" : all_["counter"]},
                                 {"since", 1700000101},
                                 {"partial", ""}});
    }
    return *this;
  }
  FarmScript& asked(const std::string& kind, const std::string& state, const std::string& why = "",
                    const std::string& id = kAskedId) {
    all_["asked"] = {{{"id", id}, {"kind", kind}, {"state", state}, {"why", why}}};
    return *this;
  }
  FarmScript& put(const std::string& field, nlohmann::json value) {
    all_[field] = std::move(value);
    return *this;
  }
  nlohmann::json& document() { return all_; }
  operator nlohmann::json() const { return all_; }  // NOLINT(google-explicit-constructor)

 private:
  void add_generation(const std::string& id, const std::string& fingerprint,
                      const std::string& current) {
    all_["generations"].push_back({{"id", id},
                                   {"fingerprint", fingerprint},
                                   {"slot", id == current ? "current" : "other"},
                                   {"revoked", false},
                                   {"created_at", 1700000000},
                                   {"not_after", 0}});
  }

  nlohmann::json all_ = {
      {"pool", "web"},
      {"farm", "edge"},
      {"node", "lb1"},
      {"leader", "s1"},
      {"leading", false},
      {"connected", true},
      {"held", ""},
      {"aborting", false},
      {"events", nlohmann::json::array()},
      {"asked", nlohmann::json::array()},
      {"roster_at", int64_t{1} << 52},
      {"farm_key", {{"newest", 1}, {"sealed_under", 1}, {"min", 1}, {"lines", {1}}}}};
};

}  // namespace tfo::test
