// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo::etcd {

/// How long to wait for what. The defaults suit a cluster of three or five members on one
/// continent; etcd itself gives a write up after 7 s ("request timed out").
struct Timeouts {
  std::chrono::milliseconds connect{2000};   ///< TCP and TLS
  std::chrono::milliseconds read{3000};      ///< one try of what may be repeated
  std::chrono::milliseconds write{8000};     ///< what may not be repeated
  std::chrono::milliseconds ping{5000};      ///< a watch silent for so long is asked for progress
  std::chrono::milliseconds silence{10000};  ///< a watch silent for so long is opened elsewhere
  std::chrono::milliseconds backoff{5000};   ///< most between two rounds of a watch's attempts

  bool operator==(const Timeouts&) const = default;
};

/// What one message may take in memory, in bytes.
struct Limits {
  size_t body = 16U << 20;  ///< a reply; a watch's events that belong together
  size_t line = 4U << 20;   ///< a line of a watch: etcd's fragments are 2 MiB, 2.7 in base64

  bool operator==(const Limits&) const = default;
};

/// How to reach etcd's JSON gateway (etcd 3.4 and later, path /v3).
struct Config {
  std::vector<std::string> endpoints;  ///< "https://HOST[:2379]"
  std::string ca_file;                 ///< PEM; empty: the system's
  std::string cert_file;               ///< the client's certificate, PEM; empty: none
  std::string key_file;                ///< its key, PEM
  std::string user;                    ///< empty: no authentication
  std::string password_file;           ///< one line; read at each authentication
  Timeouts timeouts;
  Limits limits;
  /// Which endpoint is tried first; any number (taken modulo their count). Many clients should not
  /// begin with the same member.
  size_t first_endpoint = 0;

  bool operator==(const Config&) const = default;
};

/// "scheme://host:port" with the port filled in. Refused: other schemes, a user or password in it,
/// a path, a query.
Result<std::string> normalise_endpoint(const std::string& text);

/// Is all there that belongs together, and is the password safe on the way (https, or loopback)?
/// Endpoints come back normalised. Errors name the field as "farm.etcd.NAME".
Result<Config> check(Config config);

/// The first line of the file. Refused: any permission for group or others, not a regular file,
/// empty, more than 4 KiB.
Result<Secret> read_password(const std::string& path);

}  // namespace tfo::etcd
