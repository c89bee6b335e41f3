// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "loader/observe/reason_table.h"
#include "loader/replay/description.h"
#include "tools/commands.h"
#include "tools/explain_report.h"
#include "tools/replay_world.h"

namespace tfo {

namespace {

Result<> check_whole(const ExplainInput& input, const tfo_load_config& config) {
  const EthernetFrame& frame = input.ethernet();
  if (!describe(frame, config).cut) return {};
  return fail(fmt::format(
      "{}: the capture left out headers that decide, {} of {} bytes are here; a longer snap length "
      "keeps them",
      input.name(), input.captured().bytes.size(), input.captured().wire_length));
}

Result<Explanation> explain_input(const ExplainInput& input, ReplayWorld& world, ReplayHook& hook) {
  const EthernetFrame& frame = input.ethernet();
  auto whole = check_whole(input, hook.config());
  if (!whole) return tl::unexpected(std::move(whole).error());
  if (auto set = world.set_now(input.captured().time_ns); !set) {
    return tl::unexpected(std::move(set).error());
  }
  std::vector<uint8_t> left;
  auto run = hook.judge(frame, &left);
  if (!run) return tl::unexpected(std::move(run).error());
  const std::optional<Judgement>& judgement = *run;
  if (!judgement) {
    return fail(fmt::format("{}: {} bytes are longer than the kernel takes in a test run",
                            input.name(), frame.wire_length));
  }
  return explain({.frame = frame,
                  .config = hook.config(),
                  .ring = world.ring(judgement->slot),
                  .policy = world.policy(judgement->slot),
                  .now_ns = world.now_ns(),
                  .judgement = *judgement,
                  .left = left});
}

int show(Context& context, const ExplainedPacket& packet) {
  if (context.json) {
    context.out << explanation_json(packet).dump(-1, ' ', false,
                                                 nlohmann::json::error_handler_t::replace)
                << '\n';
  } else {
    print_explanation(context.out, packet);
  }
  const Explanation& explanation = packet.explanation;
  if (!explanation.is_defect()) return kExitOk;
  return report(context,
                Error{fmt::format("a defect of tfoguard: the program says {}, the same core on the "
                                  "host says {}; please report it with this packet",
                                  reason_label(explanation.judgement.reason),
                                  reason_label(explanation.host_reason))});
}

}  // namespace

int explain_in(Context& context, const ExplainInput& input, ReplayWorld& world,
               const std::string& interface) {
  ReplayHook& hook = world.hook(interface.empty() ? input.interface() : interface);
  const auto explanation = explain_input(input, world, hook);
  if (!explanation) return report(context, explanation.error());
  const uint32_t slot = explanation->judgement.slot;
  return show(context, {.input = input,
                        .explanation = *explanation,
                        .vip = world.vip_name(slot),
                        .pool = world.pool_name(slot),
                        .every_vip = world.every_vip()});
}

int explain_run(Context& context, const ExplainArgs& args) {
  auto input = ExplainInput::open(context, args);
  if (!input) return report(context, input.error());
  auto world = open_world(context, args.world);
  if (!world) return report(context, world.error());
  return explain_in(context, **input, *world, args.world.interface);
}

}  // namespace tfo
