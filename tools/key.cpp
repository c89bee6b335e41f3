// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "loader/control.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/keytext.h"
#include "tools/pool_choice.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr size_t kMaxImport = 16;  // TFO_MAX_GENERATIONS: what one ring can hold

/// "KEYTEXT,KEYTEXT", as the daemon writes a ring, as an array.
json split_keys(const std::string& text) {
  json keys = json::array();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    keys.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return keys;
}

void print_pool(Context& context, const json& pool) {
  const int64_t next = number_of(pool, "next_rotation");
  context.out << printable(
                     fmt::format("pool {}, store {}, {}{}", text_of(pool, "name"),
                                 text_of(pool, "store"), text_of(pool, "state"),
                                 next == 0 ? "" : ", next key current from " + time_words(next)))
              << '\n';
  TextTable table({"id", "<fingerprint", "<place", "<created", "<not after"});
  for (const json& one : array_of(pool, "generations")) {
    const int64_t end = number_of(one, "not_after");
    table.add({text_of(one, "id"), text_of(one, "fingerprint"), text_of(one, "place"),
               time_words(number_of(one, "created_at")), end == 0 ? "never" : time_words(end)});
  }
  table.print(context.out);
}

/// What a command that changes keys answers: the reply with -j, else one line.
int print_done(Context& context, const json& reply, const std::string& text) {
  if (context.json) {
    print_json(context, reply);
  } else {
    const std::string state = text_of(reply, "state");
    context.out << printable(text + (state == "-" ? "" : ", now " + state)) << '\n';
  }
  return kExitOk;
}

}  // namespace

int key_show(Context& context, const KeyArgs& args) {
  auto reply = call(context, "keys");
  if (!reply) return report(context, reply.error());
  json shown = json::array();
  for (const json& pool : array_of(*reply, "pools")) {
    if (args.pool.empty() || text_of(pool, "name") == args.pool) shown.push_back(pool);
  }
  if (!args.pool.empty() && shown.empty()) {
    return report(context, Error{fmt::format("no pool is named '{}'", args.pool)});
  }
  if (context.json) {
    (*reply)["pools"] = shown;
    print_json(context, *reply);
    return kExitOk;
  }
  for (size_t i = 0; i < shown.size(); i++) {
    if (i > 0) context.out << '\n';
    print_pool(context, shown[i]);
  }
  return kExitOk;
}

int key_import(Context& context, const KeyArgs& args) {
  const auto keys = read_keys(context, KeySource{"", args.file}, kMaxImport);
  if (!keys) return report(context, keys.error());
  const auto pool = choose_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  json request = {{"pool", *pool}, {"keys", json::array()}};
  for (const Key& key : *keys) request["keys"].push_back(key.text().str());
  const auto reply = call(context, "key-import", std::move(request));
  if (!reply) return report(context, reply.error());
  return print_done(context, *reply, fmt::format("pool {}: {} keys imported", *pool, keys->size()));
}

int key_export(Context& context, const KeyArgs& args) {
  const auto pool = choose_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  auto reply = call(context, "key-export", {{"pool", *pool}});
  if (!reply) return report(context, reply.error());
  const Secret text(text_of(*reply, "keys"));
  wipe_strings(*reply);
  json keys = split_keys(text.str());
  if (context.json) {
    json document = {{"pool", *pool}, {"keys", std::move(keys)}};
    print_json(context, document);
    wipe_strings(document);
    return kExitOk;
  }
  for (const json& key : keys) context.out << key.get_ref<const std::string&>() << '\n';
  wipe_strings(keys);
  return kExitOk;
}

}  // namespace tfo
