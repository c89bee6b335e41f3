// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/context.h"

/// The commands of tfoctl, one source file per object. Each returns its exit code (context.h).
namespace tfo {

int status_show(Context& context);

struct StatsArgs {
  std::string vip;  // only this one, with every reason; empty: all, in short
  unsigned count;   // watch: tables until it ends; 0: until Ctrl-C
  double interval;  // watch: seconds between two tables
};
int stats_show(Context& context, const StatsArgs& args);
int stats_watch(Context& context, const StatsArgs& args);

struct TopArgs {
  double interval = 1;  // seconds between two looks
  bool once = false;    // one text, then end
};
int top_run(Context& context, const TopArgs& args);

int vip_list(Context& context);

struct GuardArgs {
  std::string network;   // ADDRESS or ADDRESS/LENGTH
  std::string duration;  // deny, allow; empty: without end
};
int guard_list(Context& context);
int guard_release(Context& context, const GuardArgs& args);
int guard_deny(Context& context, const GuardArgs& args);
int guard_allow(Context& context, const GuardArgs& args);

struct AlertArgs {
  std::string id;         // show
  std::string pcap = {};  // show: a file for sample headers; empty: none
  unsigned count;         // follow: changes until it ends; 0: until Ctrl-C
  double interval;        // follow: seconds between two questions
};
int alert_list(Context& context);
int alert_show(Context& context, const AlertArgs& args);
int alert_follow(Context& context, const AlertArgs& args);

/// Keys as the user gave them: text on the command line, or a file ("-": standard input).
struct KeySource {
  std::string text;  // KEYTEXT[,KEYTEXT...]
  std::string file;
};

struct KeyArgs {
  std::string pool;  // empty: the only one there is
  std::string file;  // import
};
int key_show(Context& context, const KeyArgs& args);
int key_import(Context& context, const KeyArgs& args);
int key_export(Context& context, const KeyArgs& args);

/// What is asked of a farm that shares its pools through etcd.
struct FarmArgs {
  std::string pool;         // empty: the only one there is
  bool wait = false;        // until all members have acknowledged
  double timeout = 60;      // seconds; of that
  std::string generation;   // revoke: 16 hex digits
  bool gentle = false;      // revoke: after a rotation
  std::string node;         // forget
  bool off_wire = false;    // forget: it sees no packets any more
  bool revoke_all = false;  // rekey: with a new ring
};
/// Of any store; what `wait` says holds for shared pools, others rotate by themselves.
int key_rotate(Context& context, const FarmArgs& args);
int key_revoke(Context& context, const FarmArgs& args);
int key_abort(Context& context, const FarmArgs& args);
int key_history(Context& context, const FarmArgs& args);

int node_list(Context& context, const FarmArgs& args);
int node_forget(Context& context, const FarmArgs& args);

int farm_rekey(Context& context, const FarmArgs& args);
int farm_adopt(Context& context, const FarmArgs& args);

/// What is done to a farm without tfod.
struct FarmFileArgs {
  std::string config = kDefaultConfig;
  std::string pool;        // init; empty: the only shared one
  std::string keys;        // init: file of the keys that it begins with; empty: a random one
  bool force_new = false;  // init: although there is a document
};
int farm_init(Context& context, const FarmFileArgs& args);
int farm_new_line(Context& context, const FarmFileArgs& args);

struct AuditArgs {
  std::vector<std::string> servers;  // ADDRESS, ADDRESS:PORT, [V6]:PORT
  std::vector<std::string> vips;     // the same; each is asked at every next hop of its family
  std::vector<std::string> vias;     // addresses of neighbours
  std::vector<uint16_t> ports;       // for those without; empty: those of the pool's VIPs
  std::string pool;                  // empty: the only one there is
  KeySource keys;                    // instead of tfod's
  std::vector<std::string> sources;  // at most one IPv4 and one IPv6 address
  unsigned tries = 3;
  double timeout = 1;  // seconds after each SYN
  unsigned ttl = 1;    // of what goes to a next hop
};
int key_audit(Context& context, const AuditArgs& args);

struct DeriveArgs {
  std::string secret;         // file; "-": standard input
  int64_t interval = 0;       // seconds
  std::optional<int64_t> at;  // unix seconds; none: now
};
int key_derive(Context& context, const DeriveArgs& args);

struct CookieArgs {
  KeySource keys;
  std::string source;
  std::string destination;
  std::string cookie;  // check
};
int cookie_make(Context& context, const CookieArgs& args);
int cookie_check(Context& context, const CookieArgs& args);

struct DetachArgs {
  std::string bpffs = kDefaultBpffs;
  bool force = false;    // do not ask a daemon
  bool restore = false;  // and put back what the server namespaces held before tfod
  std::string state_directory = kDefaultStateDirectory;  // for that, without a daemon
};
int detach_run(Context& context, const DetachArgs& args);

/// The node that captured packets are judged on; see replay_world.h.
struct WorldArgs {
  std::string config;     // FILE; excludes the keys and decap
  KeySource keys;         // neither these nor a config: no keys, every destination counts as a VIP
  std::string interface;  // of the config whose settings hold; empty: the first one
  std::vector<std::string> decap;  // "ipip", "gue"
};

struct ReplayArgs {
  WorldArgs world;
  std::string file;       // "-": standard input
  std::string out;        // empty: none
  bool frames = false;    // one line per frame
  bool incoming = false;  // leave out what the capture marks as outgoing
  unsigned refused = 10;  // rows of the table of refused clients
};
int replay_run(Context& context, const ReplayArgs& args);

struct ExplainArgs {
  WorldArgs world;
  std::optional<std::string> hex;  // "-": standard input
  std::string file;                // "-": standard input; either this or hex
  uint64_t frame = 0;              // of the file, from 1; 0: not given
  std::string link = "auto";       // of hex: auto, ethernet, raw
};
int explain_run(Context& context, const ExplainArgs& args);

struct BenchArgs {
  unsigned runs = 11;              // the median of so many is shown
  uint32_t repeat = 2'000'000;     // packets of a hot run
  uint32_t packets = 1U << 20;     // distinct packets of a cold run; a power of two
  std::vector<std::string> cases;  // empty: all
  int family = 0;                  // 4, 6, 0: both
  int cpu = -1;                    // -1: the highest one allowed
  bool check = false;              // exit 1 if a row is above 1.5 times its goal
};
int bench_run(Context& context, const BenchArgs& args);
/// One line for each case: its name and which packets it measures.
std::string bench_cases_help();

}  // namespace tfo
