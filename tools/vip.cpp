// SPDX-License-Identifier: BSD-2-Clause
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

/// An array's members, separated by blanks; `none` for an empty one.
std::string list_words(const json& object, const char* key, const char* none) {
  std::string words;
  for (const json& one : array_of(object, key)) {
    words += words.empty() ? "" : " ";
    words += one.is_string() ? one.get<std::string>() : one.dump();
  }
  return words.empty() ? none : words;
}

/// "canary 5 %".
std::string mode_words(const json& vip) {
  const auto share = vip.find("canary");
  if (share == vip.end() || !share->is_number()) return text_of(vip, "mode");
  return text_of(vip, "mode") + " " + share->dump() + " %";
}

/// "drop >100/s": what it does above that rate.
std::string on_invalid_words(const json& vip) {
  const auto above = vip.find("drop_above");
  if (above == vip.end() || !above->is_number()) return text_of(vip, "on_invalid");
  return text_of(vip, "on_invalid") + " >" + above->dump() + "/s";
}

/// "8/16/32/64": handshakes that one address, /24 or /64, /48, and all may hold open, each "-"
/// without a limit; "off" where the guard is.
std::string guard_words(const json& vip) {
  const auto guard = vip.find("guard");
  if (guard == vip.end()) return "-";
  if (!guard->is_object()) return text_of(vip, "guard");
  return text_of(*guard, "address_limit") + "/" + text_of(*guard, "limit") + "/" +
         text_of(*guard, "site_limit") + "/" + text_of(*guard, "vip_limit");
}

}  // namespace

int vip_list(Context& context) {
  const auto reply = call(context, "vips");
  if (!reply) return report(context, reply.error());
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  TextTable table({"vip", "<mode", "<renew", "<on_invalid", "<on_data", "<on_truncated",
                   "<syn_queue", "unproven/s", "guard", "<pool", "<ports", "<addresses"});
  for (const json& one : reply->is_array() ? *reply : array_of(*reply, "vips")) {
    table.add({text_of(one, "name"), mode_words(one), text_of(one, "renew"), on_invalid_words(one),
               text_of(one, "on_data_without_option"), text_of(one, "on_truncated"),
               text_of(one, "protect_syn_queue"), text_of(one, "unproven_rate"), guard_words(one),
               text_of(one, "pool"), list_words(one, "ports", "any"),
               list_words(one, "addresses", "-")});
  }
  table.print(context.out);
  return kExitOk;
}

}  // namespace tfo
