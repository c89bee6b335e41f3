// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <bpf/libbpf.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loader/dataplane/map_memory.h"
#include "loader/dataplane/map_set.h"
#include "loader/monitor/attack_book.h"
#include "loader/monitor/bloom_load.h"
#include "loader/monitor/density.h"
#include "loader/monitor/exact.h"
#include "loader/monitor/heavy_sources.h"
#include "loader/monitor/hyperloglog.h"
#include "loader/monitor/proof.h"
#include "loader/monitor/subjects.h"
#include "loader/monitor/view.h"
#include "loader/result.h"

namespace tfo {

enum class MonitorReadiness { kReady, kNotWarm, kUnproven };

/// What is counted of one subject, for a rule of the alerts: one of monitor_rules(),
/// "outgoing_syn_flood" of the node, "events_lost" of the monitor itself. Counters only grow, or
/// begin anew.
struct MonitorReading {
  std::string rule;
  std::string subject;
  uint64_t count = 0;    // packets: unsolicited SYN-ACKs and resets; excess; SYNs out
  uint64_t bytes = 0;    // of them
  uint64_t total = 0;    // what a share is of: these and what SYNs explain; asymmetric: SYNs out
  uint64_t sources = 0;  // distinct reflectors; of a prefix: its addresses hit of late
  double floor = 0;      // usual_background()
  bool saturated = false;
  MonitorReadiness readiness = MonitorReadiness::kReady;
  bool doubtful = false;  // kUnproven, and not just because it is idle
  std::string why;        // it is not ready
  std::string part_of;    // the declared prefix that it lies in
  /// Valid until the next read(); at most 4 KiB.
  std::function<nlohmann::json()> evidence;
};

/// User space's side of the SYN-ACK monitor: tells the programs what to watch, and reads what they
/// counted. Everything is on the programs' clock, so it serves replay, too.
class SynAckMonitor {
 public:
  /// `maps` outlives it. What sketches of distinct reflectors are found is cleared by and by.
  /// `unbroken`: the programs went on remembering SYNs since another monitor had these maps.
  static Result<std::unique_ptr<SynAckMonitor>> open(const MapSet& maps, bool unbroken = false);
  ~SynAckMonitor();
  SynAckMonitor(const SynAckMonitor&) = delete;
  SynAckMonitor& operator=(const SynAckMonitor&) = delete;

  /// Replaces what is watched. Who was watched before goes on as it was, by a monitor before this
  /// one on the same maps, too; warm-up is each subject's own. An error leaves those who were
  /// watched. `sockets`: the programs ask this node's (TFO_MONITOR_SOCKETS).
  Result<> watch(const std::vector<MonitorSubject>& subjects, bool sockets);
  /// No program remembered SYNs until now: warm-up begins again.
  void tracking_was_away();

  /// Of whom alerts are raised: the programs look at what follows their SYN-ACKs.
  void keep_alarm(std::set<std::string, std::less<>> subjects) { alarmed_ = std::move(subjects); }

  /// Readable when samples wait.
  int samples_fd() const;
  /// A few milliseconds' work.
  static constexpr size_t kSamplesAtOnce = 4096;
  /// At most so many: they may come faster than they are read.
  Result<> take_samples(size_t most = SIZE_MAX);

  /// What is counted now; each second or so. Takes at most so many of the samples that wait. Also
  /// keeps the sketches clear.
  Result<std::vector<MonitorReading>> read(size_t samples = kSamplesAtOnce);

  /// The headers of an attack on this subject as a pcap file; empty: none were seen. `offset_ns`:
  /// AttackTables::pcap().
  std::vector<uint8_t> pcap(const std::string& subject, int64_t offset_ns = 0) const;
  /// Counters of a subject, all CPUs together, as of the last read().
  const tfo_monitor_counters* counters(const std::string& subject) const;
  /// As of the last read().
  const BloomLoad& load() const { return load_; }
  MonitorView view() const;

 private:
  /// What is counted of a subject in one place.
  struct Place {
    MonitorPlace where;
    Distinct reflectors = {};
    tfo_monitor_counters counters{};
    uint64_t came = 0, bytes = 0;  // of the last look
    /// Its part of what came to the subject in the last look in which anything did: excess is told
    /// for ten seconds more.
    double share = 1;
  };
  /// One subject as it is followed.
  struct Watched {
    MonitorSubject subject;
    uint16_t number = 0;        // of its first place, and of what its samples are kept under
    std::vector<Place> places;  // at least one
    TrackingProof proof;
    Excess excess;
    Explained explained;
    std::optional<std::chrono::nanoseconds> syns_at;  // SYNs left, last
    tfo_monitor_counters counters{};                  // of all places
    tfo_monitor_counters before{};                    // as of the look before
    tfo_monitor_counters of_parts{};  // a declared prefix's: answers to what is named in it
    uint64_t count = 0;  // for the rules: by what was counted, or by what was in excess
    /// Of the last look.
    struct Step {
      uint64_t came = 0, bytes = 0;  // that was counted
      uint64_t judged = 0;           // what `count` grew by
    } step = {};
    /// Of a declared prefix that is wider than a /24: what is dense, and whether all of it is
    /// judged.
    Density density = {};
    Busy busy_carpet = {}, busy_own = {};
    Growth carpet = {};               // a declared prefix's, its parts as they are judged
    Growth own = {}, own_bytes = {};  // a declared prefix's, without its parts
    uint64_t last_excess = 0;         // of it
    uint64_t last_count = 0;
    uint64_t addresses_hit = 0;
    double lately = 0;                              // packets of the last ten seconds or so
    tfo_monitor_counters at_start{};                // of the attack that the evidence is of
    std::optional<std::chrono::nanoseconds> began;  // that attack
    /// Of a declared prefix: when the attack began, and lately.
    PrefixCounts counts_at_start{}, counts_before{};
    std::optional<std::chrono::nanoseconds> counts_at;  // these
    uint64_t sketched = UINT64_MAX;  // what had been counted when the sketch was read
    uint32_t sketched_at = 0;        // epoch

    /// Distinct ones, of all places: an address of one family is not in another's.
    uint64_t reflectors(double (Distinct::*which)() const) const;
  };

  SynAckMonitor(const MapSet& maps, const std::array<uint64_t, 2>& seed, bool unbroken);
  uint16_t window() const;
  uint16_t age(uint16_t since) const;
  std::chrono::nanoseconds now() const;
  Result<> learn(const std::vector<MonitorSubject>& subjects);
  Result<> forget_counters(uint16_t number) const;
  void date(const std::vector<MonitorSubject>& subjects);
  Watched begin(const MonitorSubject& subject, const std::vector<MonitorPlace>& places) const;
  bool goes_on(const MonitorSubject& subject, const MonitorPlan& plan) const;
  void follow(const std::vector<MonitorSubject>& subjects, const MonitorPlan& plan);
  void name_owners();
  Result<> write_targets(MonitorPlan& plan);
  Result<> judge(Watched& watched);
  Result<> read_places(Watched& watched);
  Result<> look(size_t samples);
  void see_tracking();
  void see_answers(Watched& watched) const;
  void add_up(Watched& watched);
  void see_parts();
  void add_carpet(Watched& watched, const Watched::Step& parts);
  uint64_t see_density(Watched& watched) const;
  bool is_wide(const Watched& watched) const;
  void add_parts();
  static std::string part_of(const Watched& watched);
  Result<> follow_attack(Watched& watched);
  void review_book();
  bool judges_excess(const Watched& watched) const;
  Result<> read_load();
  uint64_t addresses_hit(const Watched& watched) const;
  MonitorReading reading(const Watched& watched, std::string_view rule);
  static uint64_t sources_of(const Watched& watched, std::string_view rule);
  MonitorReading flood_reading() const;
  MonitorReading lost_reading() const;
  bool is_warm(const Watched& watched) const {
    return watched.proof.warm(now(), sockets_ && watched.subject.local());
  }
  /// Is what answers SYNs of this subject looked for in a filter that holds too much?
  bool doubtful(const Watched& watched) const;
  void judge_tracking(const Watched& watched, MonitorReading& reading) const;
  nlohmann::json evidence(const Watched& watched);
  nlohmann::json victims(const Watched& watched, const AttackTables& tables) const;
  nlohmann::json flood_evidence() const;
  static int take(void* self, void* data, size_t size);

  const MapSet& maps_;
  std::unique_ptr<MapMemory> sketches_;
  std::unique_ptr<MapMemory> hits_;
  std::unique_ptr<MapMemory> heavy_;
  std::unique_ptr<PrefixCounters> exact_;
  ring_buffer* ring_ = nullptr;
  size_t wanted_ = 0;  // samples that take_samples() still takes
  bool sockets_ = false;
  std::set<std::string, std::less<>> alarmed_;  // by keep_alarm()
  bool begun_ = false;                          // watch() was called
  bool unbroken_;
  std::map<std::string, uint16_t> since_;  // tfo_target.since of those who are watched
  MonitorPlan plan_;
  std::map<std::string, Watched> watched_;
  struct Owner {
    uint16_t number = 0;  // of the subject
    uint16_t around = 0;  // of the declared prefix; 0: none
  };
  std::map<uint16_t, Owner> owners_;  // by number of a place
  AttackBook book_;
  BloomLoad load_;
  std::vector<HeavySource> heavy_sources_;  // as of the last read()
  uint32_t weight_ = 1;                     // one packet out of so many is a sample now
  MonitorTotals totals_;
};

/// Unsolicited SYN-ACKs of a subject, whatever they carry.
tfo_tally unsolicited(const tfo_monitor_counters& counters);
/// What was counted since; all of it if the counter began anew.
constexpr uint64_t grown(uint64_t now, uint64_t before) {
  return now >= before ? now - before : now;
}
/// Unsolicited SYN-ACKs and resets since.
uint64_t came_since(const tfo_monitor_counters& now, const tfo_monitor_counters& before);

}  // namespace tfo
