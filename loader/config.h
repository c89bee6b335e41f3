// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/address.h"
#include "loader/alert/rule.h"
#include "loader/etcd/config.h"
#include "loader/keys/drift.h"
#include "loader/monitor/config.h"

namespace tfo {

/// Hard upper limits of a configuration; past them parse_config() reports an error.
inline constexpr size_t kMaxInterfaces = 64;
inline constexpr size_t kMaxVips = 16384;
inline constexpr size_t kMaxVipAddresses = 256;  // of one VIP
inline constexpr size_t kMaxVipPorts = 256;      // of one VIP
inline constexpr size_t kMaxVipRows = 65536;     // sum over the VIPs of addresses x ports
inline constexpr size_t kMaxNamespaces = 256;
inline constexpr size_t kMaxConfigBytes = 16 * 1024 * 1024;
inline constexpr unsigned kMaxAcceptGenerations =
    13;  // 16 in a ring less current, previous, staged

/// How an interface's XDP hook is taken. kAuto: native, else generic with a raised condition.
enum class AttachMode { kAuto, kNative, kGeneric };

struct InterfaceConfig {
  std::string name;  // 1..15 characters, IFNAMSIZ less its NUL
  AttachMode mode = AttachMode::kAuto;
  uint8_t decap = 0;         // TFO_DECAP_* of bpf/tfo_abi.h
  uint16_t gue_port = 6080;  // UDP destination port of GUE, host order
  bool egress = false;       // the servers' SYN-ACKs leave here: the guard's exact form
  bool inside = false;       // tracked addresses are behind it: their SYNs come in here
  // Not fields of their own:
  bool guard = false;   // a VIP has its guard on
  uint8_t monitor = 0;  // TFO_MONITOR_*: what the programs do for the SYN-ACK monitor
  uint8_t tracks = 0;   // likewise where packets leave; 0: the monitor need not see them
};

/// Where a pool's keys come from: a keyring file that this node rotates, a secret and the clock, or
/// the farm, whose nodes agree through etcd.
enum class StoreKind { kFile, kDerived, kEtcd };

/// A pool of keys: one ring, shared by any number of VIPs and namespaces.
struct PoolConfig {
  std::string name;
  StoreKind store = StoreKind::kFile;
  std::string file;    // absolute path: of the keyring, or of another store's state
  std::string secret;  // absolute path of the secret (store "derived")
  std::chrono::milliseconds max_skew{5000};  // how wrong any node's clock may be ("derived")
  std::chrono::seconds interval{86400};      // between rotations; 0 = by command only
  unsigned accept_generations = 4;    // retired keys accepted besides current, previous, staged
  std::chrono::seconds not_after{0};  // life of a key outside the servers' slots; 0 = no end
  // Store "etcd" only:
  std::chrono::seconds deadline{60};         // for the last acknowledgement of a staged key
  bool go_on_at_deadline = false;            // as far as that is safe; else hold
  std::chrono::seconds forget_after{86400};  // a member not seen for so long is one no more
  // Validators renew so long after the last word of etcd. At most an hour less than forget_after;
  // where that is below two hours, at most a lease less.
  std::chrono::seconds fresh_for{82800};

  bool operator==(const PoolConfig&) const = default;
};

/// Who this node is to its farm, and where the farm meets (pools of the store "etcd").
struct FarmConfig {
  std::string name;
  std::string node;
  std::string key_file = "/etc/tfoguard/farm.key";  // see rotation::FarmKey
  std::chrono::seconds lease{15};                   // a node silent for so long is named in alerts
  etcd::Config etcd;

  bool operator==(const FarmConfig&) const = default;
};

/// What enforcing does for a VIP, besides renewal: see bpf/policy.h.
struct PolicyConfig {
  tfo_action on_invalid = TFO_PASS;              // pass, demote or drop
  tfo_action on_data_without_option = TFO_PASS;  // pass or drop
  tfo_action on_truncated = TFO_DROP;            // pass or drop
  unsigned drop_above = 1000;                    // invalid cookies a second; at most unproven_rate
  std::optional<unsigned> unproven_rate;         // a second; none: by what is known of the servers
  bool retry = false;                            // protect_syn_queue: "retry"
  bool passes_signed = false;                    // what would be demoted, were it not signed
  std::chrono::seconds duplicate_window{60};     // 0: copies of SYN data are not looked for

  bool operator==(const PolicyConfig&) const = default;
};

/// How many handshakes with a valid cookie clients may hold open at a VIP: see struct tfo_guard.
/// What is not given goes by the others and by the servers' queues (guard_limits()).
struct GuardConfig {
  bool on = true;
  std::optional<unsigned> address_limit;  // of one client address
  std::optional<unsigned> limit;          // of a client network, /24 or /64
  std::optional<unsigned> site_limit;     // of a /48
  std::optional<unsigned> vip_limit;      // of all of them
  unsigned open_rate = 0;                 // opened by one client network, a second; 0: no limit

  bool operator==(const GuardConfig&) const = default;
};

struct VipConfig {
  std::string name;                      // at most TFO_NAME_LEN - 1 characters
  std::vector<ConfigAddress> addresses;  // at least one
  std::vector<uint16_t> ports;           // host order; empty = any port
  std::string pool;                      // name of an entry of Config::pools
  tfo_vip_mode mode = TFO_OBSERVE;
  unsigned canary = 0;      // percent of the client prefixes that are enforced; mode canary only
  bool renew = false;       // rewrite cookies that not every server holds
  bool originates = false;  // its addresses open connections, too
  PolicyConfig policy{};
  GuardConfig guard{};
};

struct NamespaceConfig {
  std::string pool;
  std::string netns;  // absolute path of a namespace file, e.g. /run/netns/web; empty = our own
};

/// The server role: the kernel's own Fast Open keys of these namespaces.
struct ServerConfig {
  std::vector<NamespaceConfig> namespaces;
  bool manage_sysctl = true;             // false: only read counters, write nothing
  std::chrono::seconds enable_delay{0};  // after boot, before tcp_fastopen's server bit is set
  OnDrift on_drift = OnDrift::repair;    // of keys and server bit that somebody else changed
  bool restore_on_stop = false;          // at SIGTERM and detach: what was there before tfod
};

/// Absolute paths of PEM files, all three given. Whoever has no certificate of `client_ca` is
/// refused.
struct HttpTlsConfig {
  std::string certificate;  // ours, with those that lead to its root
  std::string key;
  std::string client_ca;
};

struct HttpConfig {
  std::string host = "127.0.0.1";
  uint16_t port = 9413;  // 0 = any free one, shown by `tfoctl status`
  std::string path;      // not empty: a unix socket instead
  std::optional<HttpTlsConfig> tls;
};

/// A whole, valid configuration: every name resolves, nothing is double.
struct Config {
  std::string instance = "default";
  std::vector<InterfaceConfig> interfaces;  // balancer role; may be empty
  std::vector<PoolConfig> pools;            // sorted by name
  std::vector<VipConfig> vips;
  std::optional<ServerConfig> server;  // absent: no server role
  std::optional<FarmConfig> farm;      // there if a pool has the store "etcd"
  std::optional<HttpConfig> http = HttpConfig{};
  std::string socket = "/run/tfoguard/tfod.sock";
  std::string state_directory = "/var/lib/tfoguard";
  std::string bpffs = "/sys/fs/bpf";
  std::string log_level = "info";
  unsigned handshakes = 262144;  // that the guard can hold, a power of two; fixed with the maps
  alert::Config alerts;
  MonitorConfig monitor;

  /// `<state_directory>/<instance>.servers`: what the server namespaces held before tfod. Mode
  /// 0600.
  std::string servers_file() const;
  /// `<state_directory>/<instance>.alerts`: those that are raised. Mode 0600.
  std::string alerts_file() const;
  /// `<bpffs>/tfoguard/<instance>`: where maps and links are pinned.
  std::string pin_directory() const;
  const PoolConfig* pool(std::string_view name) const;
};

/// One thing wrong with a configuration.
struct ConfigError {
  std::string where;  // JSON path ("vips[0].ports[1]"), or "FILE:LINE:COLUMN", or the file
  std::string wrong;  // what is wrong with it
  std::string right;  // what would be right; may be empty

  /// "where: wrong; right", without what looks like a key that stood in the wrong place.
  std::string text() const;
  bool operator==(const ConfigError&) const = default;
};

/// A configuration, or everything that is wrong with it, in the order of the document.
using ConfigResult = tl::expected<Config, std::vector<ConfigError>>;

/// Reads JSON with // and /* */ comments. `file` is only the name used in messages.
ConfigResult parse_config(std::string_view text, const std::string& file);

/// parse_config() of a file's content.
ConfigResult load_config(const std::string& file);

/// A duration as configurations write it: "24h", "90s", "1h30m", "2d", "0". Nothing else.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

/// The same with milliseconds too: "500ms" alone, or a whole number of seconds as above.
std::optional<std::chrono::milliseconds> parse_fine_duration(std::string_view text);

/// The shortest such text: 5400 s is "1h30m", 0 is "0".
std::string duration_text(std::chrono::seconds duration);

}  // namespace tfo
