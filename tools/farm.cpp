// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "tools/client.h"
#include "tools/commands.h"
#include "tools/farm_ask.h"
#include "tools/farm_status.h"
#include "tools/pool_choice.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

int farm_rekey(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const auto status = read_farm_status(context, *pool);
  if (!status) return report(context, status.error().error);
  const int64_t line = status->newest_line;
  if (line <= status->sealing_line && !args.revoke_all) {
    return say_no(context,
                  fmt::format("pool {} lies sealed under line {} of the farm key file, the newest "
                              "that this tfod has; `tfoctl farm new-line` makes another, which "
                              "every node must have first",
                              *pool, status->sealing_line));
  }
  json request = {
      {"pool", *pool}, {"kind", "rekey"}, {"key", line}, {"revoke_all", args.revoke_all}};
  if (args.wait) {
    return ask_and_wait(context, "farm-request", std::move(request),
                        FarmGoal::rekey(*status, line, args.revoke_all), args.timeout);
  }
  return ask_and_hear(
      context, *pool, std::move(request),
      fmt::format("sealed under line {} of the farm key file{}; `tfoctl node list` tells who has "
                  "acknowledged it, after which older lines can go from the file",
                  line, args.revoke_all ? ", all keys revoked" : ""));
}

int farm_adopt(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const auto reply = call(context, "farm-adopt", {{"pool", *pool}});
  if (!reply) return report(context, reply.error());
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  const json adopted = reply->value("adopted", json::object());
  const json given_up = reply->value("given_up", json::object());
  context.out << printable(fmt::format("pool {}: adopted document {} (hash {}) from etcd; given up "
                                       "{} (hash {})",
                                       *pool, text_of(adopted, "counter"), text_of(adopted, "hash"),
                                       text_of(given_up, "counter"), text_of(given_up, "hash")))
              << '\n';
  return kExitOk;
}

}  // namespace tfo
