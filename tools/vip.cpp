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

}  // namespace

int vip_list(Context& context) {
  const auto reply = call(context, "vips");
  if (!reply) return report(context, reply.error());
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  TextTable table({"vip", "<mode", "<renew", "<pool", "<ports", "<addresses"});
  for (const json& one : reply->is_array() ? *reply : array_of(*reply, "vips")) {
    table.add({text_of(one, "name"), text_of(one, "mode"), text_of(one, "renew"),
               text_of(one, "pool"), list_words(one, "ports", "any"),
               list_words(one, "addresses", "-")});
  }
  table.print(context.out);
  return kExitOk;
}

}  // namespace tfo
