// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "loader/keys/redact.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/farm_ask.h"
#include "tools/farm_status.h"
#include "tools/pool_choice.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

/// Has tfod begin a rotation, and leaves it at that.
int rotate(Context& context, const std::string& pool) {
  const auto reply = call(context, "key-rotate", {{"pool", pool}});
  if (!reply) return report(context, reply.error());
  const std::string request = text_of(*reply, "request");
  if (request != "-") {
    return hear_of(context, pool, request,
                   "rotation begun; `tfoctl node list` tells who has acknowledged it");
  }
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  const std::string state = text_of(*reply, "state");
  context.out << printable(
                     fmt::format("pool {}: rotation begun; `tfoctl status` tells how it goes{}",
                                 pool, state == "-" ? "" : ", now " + state))
              << '\n';
  return kExitOk;
}

/// "1122334455667788 (fingerprint 1a2b3c4d)", for each: what may be named.
std::string known_generations(const json& status) {
  std::string text;
  for (const json& one : array_of(status, "generations")) {
    text += fmt::format("{}{} (fingerprint {})", text.empty() ? "" : ", ", text_of(one, "id"),
                        text_of(one, "fingerprint"));
  }
  return text;
}

/// The id of the generation that the user named by its id or fingerprint; empty: said why not.
std::string find_generation(Context& context, const json& status, const std::string& named) {
  std::string found;
  for (const json& one : array_of(status, "generations")) {
    if (text_of(one, "id") != named && text_of(one, "fingerprint") != named) continue;
    if (!found.empty()) {
      say(context, named + " is the fingerprint of two generations; give the id", kExitFailed);
      return {};
    }
    found = text_of(one, "id");
  }
  if (found.empty()) {
    // What was typed may be a key.
    const bool whole = named.size() == 16 || named.size() == 8;
    say(context,
        fmt::format("no generation {}; there are {}", whole ? named : without_keys(named),
                    known_generations(status)),
        kExitFailed);
  }
  return found;
}

}  // namespace

int key_rotate(Context& context, const FarmArgs& args) {
  const auto pool = choose_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  if (!args.wait) return rotate(context, *pool);
  const auto shared = is_shared(context, *pool);
  if (!shared) return report(context, shared.error());
  if (!*shared) return rotate(context, *pool);
  const auto before = read_farm_status(context, *pool);
  if (!before) return report(context, before.error().error);
  return ask_and_wait(context, "key-rotate", {{"pool", *pool}}, FarmGoal::rotation(*before),
                      args.timeout);
}

int key_revoke(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const auto status = read_farm_status(context, *pool);
  if (!status) return report(context, status.error().error);
  const std::string generation = find_generation(context, status->document, args.generation);
  if (generation.empty()) return kExitFailed;
  const std::string done =
      args.gentle ? "{} is revoked once a rotation to another key is complete"
                  : "{} is revoked: servers drop it, its cookies are recognised and never accepted";
  return ask_and_hear(
      context, *pool, {{"kind", "revoke"}, {"generation", generation}, {"gentle", args.gentle}},
      fmt::format(fmt::runtime(done), generation) + "; `tfoctl node list` tells who has done so");
}

int key_abort(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const auto status = read_farm_status(context, *pool);
  if (!status) return report(context, status.error().error);
  if (status->steady) {
    return say_no(context, fmt::format("pool {}: nothing to abort, no rotation is under way as far "
                                       "as this tfod knows",
                                       *pool));
  }
  return ask_and_hear(context, *pool, {{"kind", "abort"}},
                      "the rotation is taken back, step by step; `tfoctl key history` tells when "
                      "it is steady again");
}

int key_history(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const auto status = read_farm_status(context, *pool);
  if (!status) return report(context, status.error().error);
  const json events = array_of(status->document, "events");
  if (context.json) {
    print_json(context, {{"pool", *pool}, {"events", events}});
    return kExitOk;
  }
  TextTable table({"<when", "<counter", "<state", "<by", "<what"});
  for (const json& one : events) {
    table.add({time_words(number_of(one, "at")), text_of(one, "counter"), text_of(one, "state"),
               text_of(one, "by"), text_of(one, "what")});
  }
  if (table.empty()) {
    context.out << printable("pool " + *pool + ": nothing has happened yet") << '\n';
  } else {
    table.print(context.out);
  }
  return kExitOk;
}

}  // namespace tfo
