// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "tests/support/bytes.h"
#include "tests/support/netns.h"
#include "tests/support/packet.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {

/// So long a processor of this machine, on the average, ran for others since it started: time that
/// no goal of ours can count.
double stolen_seconds();

/// Attacker a0 -> a1 reflectors t0_peer -> t0 node, where tfod runs: SYNs with a victim's address
/// go to listeners of real kernels that answer to the victim, behind the node. All of it in both
/// families.
class MonitorFarm : public ::testing::Test {
 protected:
  static constexpr const char* kVip = "192.0.2.10";
  static constexpr const char* kOffice = "192.0.2.50";  // tracked, the node's own
  static constexpr unsigned kNetworks = 12;             // of reflectors
  static constexpr uint16_t kPort = 80;
  static constexpr double kGoal = 10;  // seconds from the first packet to a critical alert

  struct Attack {
    std::string id;  // of the alert
    std::vector<std::string> victims;
    uint64_t rate = 0;  // SYNs a second
  };

  void SetUp() override;

  /// An address of a reflectors' network, a /24 or /48; `victim` says of which family.
  static std::string reflector(unsigned network, const std::string& victim, unsigned host = 1);
  /// SYNs that say to come from these victims. Network N gets N in 78 of them.
  static std::vector<Packet> spoofed(const std::vector<std::string>& victims, uint16_t port);

  /// Waits until tfod has judged once: what was counted before is nobody's attack.
  bool watches(const TfodProcess& tfod) const;
  /// Frames that the reflectors sent towards the node.
  uint64_t reflected() const;
  /// The alert, while it is raised.
  std::optional<nlohmann::json> alert(const std::string& id) const;
  size_t alerts() const { return alert_list()["alerts"].size(); }
  nlohmann::json alert_list() const;
  nlohmann::json watched(const std::string& name) const { return site_.watched(name); }
  bool is_critical(const std::string& id) const;

  /// Seconds that it may take where the host took `stolen` of them: at most half as much again.
  static double goal(double stolen) { return kGoal + std::min(stolen, kGoal / 2); }

  /// Attacks until the alert is critical, and holds time and volume against the truth. The alert
  /// as it is afterwards.
  nlohmann::json attack(const Attack& attack) const;
  /// The ten networks that most comes from.
  static void expect_top_ten(const nlohmann::json& alert, const std::string& victim);

  TfodSite site_;
  std::optional<NetNs> attacker_, reflectors_;

 private:
  void wire();
  void wire_reflectors();
  void listen();
  Fd listener_;
};

}  // namespace tfo::test
