// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "loader/config.h"
#include "loader/guard/network.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr std::chrono::hours kLongest{366 * 24};

/// "2026-01-31 12:00:00Z"; `none` for what has no time.
std::string when(const json& object, const char* key, const char* none) {
  const int64_t at = number_of(object, key);
  return at == 0 ? none : time_words(at);
}

void print_guarded_vips(Context& context, const json& reply) {
  TextTable table({"vip", "<guard", "load", "limit", "per address", "per network", "per /48",
                   "guarded", "<note"});
  for (const json& one : array_of(reply, "vips")) {
    std::string note;
    if (text_of(one, "blind") == "yes") note += "blind ";
    if (text_of(one, "evaded") == "yes") note += "evaded ";
    if (text_of(one, "exact") == "yes") note += "exact";
    table.add({text_of(one, "vip"), text_of(one, "state"), text_of(one, "load"),
               text_of(one, "vip_limit"), text_of(one, "address_limit"), text_of(one, "limit"),
               text_of(one, "site_limit"), text_of(one, "guarded"), note});
  }
  table.print(context.out);
}

void print_guarded(Context& context, const json& reply) {
  TextTable table({"network", "<vip", "<level", "load", "limit", "SYNs over", "<since"});
  const json guarded = array_of(reply, "guarded");
  for (const json& one : guarded) {
    table.add({text_of(one, "network"), text_of(one, "vip"), text_of(one, "level"),
               text_of(one, "load"), text_of(one, "limit"), text_of(one, "over"),
               when(one, "since", "-")});
  }
  context.out << '\n';
  if (table.empty()) {
    context.out << "no client network is over its limit\n";
    return;
  }
  table.print(context.out);
  const int64_t more = number_of(reply, "guarded_total") - static_cast<int64_t>(guarded.size());
  if (more > 0) context.out << fmt::format("and {} older ones\n", more);
}

void print_listed(Context& context, const json& reply) {
  TextTable table({"network", "<said", "<until"});
  for (const json& one : array_of(reply, "listed")) {
    table.add({text_of(one, "network"), text_of(one, "verdict"), when(one, "until", "released")});
  }
  if (table.empty()) return;
  context.out << '\n';
  table.print(context.out);
}

/// Only the newest ones: -j has the rest.
void print_history(Context& context, const json& reply) {
  constexpr size_t kMost = 10;
  TextTable table({"time", "<network", "<what", "<vip", "load", "limit"});
  const json history = array_of(reply, "history");
  for (size_t i = 0; i < history.size() && i < kMost; ++i) {
    const json& one = history[i];
    table.add({when(one, "at", "-"), text_of(one, "network"), text_of(one, "event"),
               text_of(one, "vip"), text_of(one, "load"), text_of(one, "limit")});
  }
  if (table.empty()) return;
  context.out << '\n';
  table.print(context.out);
}

/// The network, and how long, as the daemon wants them.
Result<json> request_of(const GuardArgs& args) {
  const auto network = parse_network(args.network);
  if (!network) return tl::unexpected(Error(network.error()).in("PREFIX"));
  json request = {{"network", network_text(*network)}};
  if (args.duration.empty()) return request;
  const auto duration = parse_duration(args.duration);
  if (!duration || duration->count() == 0 || *duration > kLongest) {
    return fail(
        fmt::format("--for: '{}' is no time: give one such as 90s, 30m, 12h or 7d, at most "
                    "366d",
                    args.duration.substr(0, 60)));
  }
  request["seconds"] = duration->count();
  return request;
}

int change(Context& context, const GuardArgs& args, const char* command) {
  const auto request = request_of(args);
  if (!request) return report(context, request.error());
  const auto reply = call(context, command, *request);
  if (!reply) return report(context, reply.error());
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  const bool denied = text_of(*reply, "verdict") == "deny";
  context.out << printable(fmt::format("{} is {} until {}", text_of(*reply, "network"),
                                       denied ? "denied" : "allowed",
                                       when(*reply, "until", "it is released")))
              << '\n';
  return kExitOk;
}

}  // namespace

int guard_list(Context& context) {
  const auto reply = call(context, "guard-list");
  if (!reply) return report(context, reply.error());
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  print_guarded_vips(context, *reply);
  print_guarded(context, *reply);
  print_listed(context, *reply);
  print_history(context, *reply);
  return kExitOk;
}

int guard_release(Context& context, const GuardArgs& args) {
  const auto request = request_of(args);
  if (!request) return report(context, request.error());
  const auto reply = call(context, "guard-release", *request);
  if (!reply) return report(context, reply.error());
  const int64_t forgotten = number_of(*reply, "forgotten");
  const bool unlisted = text_of(*reply, "unlisted") == "yes";
  const int code = forgotten > 0 || unlisted ? kExitOk : kExitNo;
  if (context.json) {
    print_json(context, *reply);
    return code;
  }
  const std::string network = text_of(*reply, "network");
  if (code == kExitNo) {
    return say_no(context, network + " has nothing open here, and nothing was said of it");
  }
  context.out << printable(fmt::format("{}: {} loads forgotten{}", network, forgotten,
                                       unlisted ? ", and what was said of it" : ""))
              << '\n';
  return kExitOk;
}

int guard_deny(Context& context, const GuardArgs& args) {
  return change(context, args, "guard-deny");
}

int guard_allow(Context& context, const GuardArgs& args) {
  return change(context, args, "guard-allow");
}

}  // namespace tfo
