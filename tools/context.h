// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <istream>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>

#include "loader/result.h"

namespace tfo {

/// Exit codes of every command.
inline constexpr int kExitOk = 0;
inline constexpr int kExitNo = 1;  // the answer is "no": a cookie that no key made, a failed check
inline constexpr int kExitFailed = 2;  // wrong usage, or it could not be done

inline constexpr const char* kDefaultInstance = "default";
inline constexpr const char* kDefaultSocket = "/run/tfoguard/tfod.sock";
inline constexpr const char* kDefaultConfig = "/etc/tfoguard/tfod.json";
inline constexpr const char* kDefaultBpffs = "/sys/fs/bpf";
inline constexpr const char* kDefaultStateDirectory = "/var/lib/tfoguard";

/// What every command gets: where it reads and writes, and the options that all of them know.
struct Context {
  std::istream& in;
  std::ostream& out;                       // the answer, and nothing else
  std::ostream& err;                       // messages
  const std::ostream* terminal = nullptr;  // `out` if it is a terminal
  bool live = false;                       // `err` is a terminal: progress is redrawn in place
  bool json = false;                       // -j: exactly one JSON document on `out`
  std::string instance = kDefaultInstance;
  bool instance_given = false;  // then the daemon that answers must be of that instance
  std::string socket = kDefaultSocket;
};

/// Sends the log of the libraries that tfoctl shares with tfod to standard error: warnings only, or
/// everything, the BPF verifier's words included.
void set_up_log();
void log_everything();

/// Writes one JSON document and a newline. Text that is not UTF-8 is shown with replacement
/// characters instead of failing.
void print_json(Context& context, const nlohmann::json& document);

/// Writes "tfoctl: message" to err, without what looks like a key: people type one where a file is
/// wanted. Returns kExitFailed.
int report(Context& context, const Error& error);

/// Writes "tfoctl: message" for a text that nobody typed, and returns `code`. Control characters
/// go; ids and hashes of 16 hex digits, which report() would take for half a key, stay.
int say(Context& context, const std::string& message, int code);
inline int say_no(Context& context, const std::string& message) {
  return say(context, message, kExitNo);
}

}  // namespace tfo
