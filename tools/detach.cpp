// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/instances.h"
#include "loader/keys/clock.h"
#include "loader/server/before.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

struct Detached {
  std::vector<std::string> interfaces;
  std::string instance;
  bool by_daemon = false;
  std::vector<std::string> others;  // instances with pins of their own, if this one had none
  json restored = json::array();    // {netns, done, detail}
};

/// Asks the daemon. Nothing if there is none.
Result<std::optional<Detached>> detach_by_daemon(const Context& context, bool restore) {
  const auto status = try_call(context, "status");
  if (!status && status.error().absent) return std::optional<Detached>{};
  if (!status) return tl::unexpected<Error>(status.error().error);
  if (auto same = check_instance(context, *status); !same) {
    return tl::unexpected<Error>(same.error());
  }
  const auto reply = try_call(context, "detach", restore ? json{{"restore", true}} : json());
  if (!reply) return tl::unexpected<Error>(reply.error().error);
  Detached done{{}, text_of(*status, "instance"), true, {}, array_of(*reply, "restored")};
  const json from = reply->contains("interfaces") ? *reply : *status;
  for (const json& one : array_of(from, "interfaces")) {
    done.interfaces.push_back(one.is_string() ? one.get<std::string>() : text_of(one, "name"));
  }
  return std::optional<Detached>(std::move(done));
}

/// What a tfod that is gone had remembered.
Result<json> restore_servers(const Context& context, const DetachArgs& args) {
  BeforeFile before(fmt::format("{}/{}.servers", args.state_directory, context.instance),
                    SystemClock().now().boot_id);
  const auto all = before.restore_all();
  if (!all) return tl::unexpected(all.error());
  json out = json::array();
  for (const Restored& one : *all) {
    out.push_back({{"netns", one.netns}, {"done", one.done}, {"detail", one.detail}});
  }
  return out;
}

bool all_done(const json& restored) {
  return std::all_of(restored.begin(), restored.end(),
                     [](const json& one) { return text_of(one, "done") == "yes"; });
}

void print_restored(Context& context, const json& restored) {
  for (const json& one : restored) {
    const bool done = text_of(one, "done") == "yes";
    (done ? context.out : context.err)
        << printable(fmt::format("{}namespace {} {}: {}",
                                 done ? "" : "tfoctl: ", text_of(one, "netns"),
                                 done ? "restored" : "not restored", text_of(one, "detail")))
        << '\n';
  }
}

Result<Detached> detach(const Context& context, const DetachArgs& args) {
  if (!args.force) {
    auto done = detach_by_daemon(context, args.restore);
    if (!done) {
      return fail(done.error().message + "; `tfoctl detach --force` does not ask it");
    }
    std::optional<Detached>& detached = *done;
    if (detached) return std::move(*detached);
  }
  Result<json> restored = json::array();
  if (args.restore) restored = restore_servers(context, args);
  if (!restored) return tl::unexpected(restored.error());
  const std::string directory = args.bpffs + "/tfoguard";
  auto names = Dataplane::detach(fmt::format("{}/{}", directory, context.instance));
  if (!names && restored->empty()) return tl::unexpected<Error>(names.error());
  // A server without XDP needs no BPF file system.
  Detached done{names.value_or(std::vector<std::string>()),
                context.instance,
                false,
                {},
                std::move(*restored)};
  if (!names) return done;
  if (done.interfaces.empty()) {
    auto others = pinned_instances(directory);
    if (!others) return tl::unexpected<Error>(others.error());
    done.others = std::move(*others);
  }
  return done;
}

}  // namespace

int detach_run(Context& context, const DetachArgs& args) {
  const auto done = detach(context, args);
  if (!done) return report(context, done.error());
  if (!done->others.empty()) {
    context.err
        << printable(fmt::format(
               "tfoctl: nothing of instance '{}' was on the wire, but others are pinned: {}; "
               "`tfoctl detach --instance NAME`",
               done->instance, fmt::join(done->others, " ")))
        << '\n';
  }
  if (context.json) {
    print_json(context, {{"interfaces", done->interfaces},
                         {"by", done->by_daemon ? "tfod" : "tfoctl"},
                         {"instance", done->instance},
                         {"other_instances", done->others},
                         {"restored", done->restored}});
    return all_done(done->restored) ? kExitOk : kExitFailed;
  }
  print_restored(context, done->restored);
  for (const std::string& name : done->interfaces) {
    context.out << printable(fmt::format("detached from {}", name)) << '\n';
  }
  if (done->interfaces.empty()) {
    context.out << printable(
                       fmt::format("nothing of instance '{}' was on the wire", done->instance))
                << '\n';
  }
  return all_done(done->restored) ? kExitOk : kExitFailed;
}

}  // namespace tfo
