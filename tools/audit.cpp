// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <chrono>

#include "tools/audit_keys.h"
#include "tools/audit_report.h"
#include "tools/audit_targets.h"
#include "tools/client.h"
#include "tools/keytext.h"
#include "tools/replay_signals.h"

namespace tfo {

using audit::Answer;
using audit::Target;

namespace {

using std::chrono::steady_clock;

const std::vector<uint16_t> kAnyPorts = {1};  // as long as it is not known which
constexpr std::chrono::seconds kSlow(2);      // from then on, and so often, it says where it stands

/// No keys: tfod is to be asked.
Result<std::vector<Key>> keys_given(Context& context, const AuditArgs& args) {
  if (args.keys.text.empty() && args.keys.file.empty()) return std::vector<Key>{};
  if (!args.pool.empty()) return fail("--pool asks tfod, and --key does not: give one of them");
  return read_keys(context, args.keys, kMostKeys);
}

/// The ports for servers that were given without one: --port, else those of the pool's VIPs.
Result<std::vector<uint16_t>> ports_meant(const Context& context, const AuditArgs& args,
                                          const std::string& pool) {
  if (!args.ports.empty() || pool.empty()) return args.ports;
  const auto vips = call(context, "vips");
  if (!vips) return tl::unexpected<Error>(vips.error());
  return ports_of_pool(*vips, pool);
}

Result<std::vector<Answer>> ask(Context& context, const std::vector<Target>& targets,
                                const audit::ProbeOptions& options) {
  const ReplaySignals signals("");
  auto next = steady_clock::now() + kSlow;
  return audit::probe(targets, options, [&](size_t pending) {
    if (pending > 0 && steady_clock::now() >= next) {
      next += kSlow;
      context.err << fmt::format("tfoctl: waiting for {} of {}\n", pending, targets.size())
                  << std::flush;
    }
    return !signals.interrupted();
  });
}

bool same_current(const AuditMatch& before, const AuditMatch& after) {
  const auto& a = before.ring;
  const auto& b = after.ring;
  return a.empty() == b.empty() && (a.empty() || a[0].fingerprint == b[0].fingerprint);
}

Result<AuditReport> audit_all(Context& context, const AuditArgs& args) {
  // What is wrong with the command line comes before what is wrong with the world.
  const auto options = audit_options(args);
  if (!options) return tl::unexpected<Error>(options.error());
  auto targets = audit_targets(args, args.ports.empty() ? kAnyPorts : args.ports);
  if (!targets) return tl::unexpected<Error>(targets.error());
  const auto keys = keys_given(context, args);
  if (!keys) return tl::unexpected<Error>(keys.error());
  // First the ring: nobody is disturbed if there is nothing to compare with.
  const auto ring = match_cookies(context, args, *keys, {});
  if (!ring) return tl::unexpected<Error>(ring.error());
  const auto ports = ports_meant(context, args, ring->pool);
  if (!ports) return tl::unexpected<Error>(ports.error());
  targets = audit_targets(args, *ports);
  if (!targets) return tl::unexpected<Error>(targets.error());
  auto answers = ask(context, *targets, *options);
  if (!answers) return tl::unexpected<Error>(answers.error());
  auto match = match_cookies(context, args, *keys, *answers);
  if (!match) return tl::unexpected<Error>(match.error());
  const bool changed = !same_current(*ring, *match);
  return AuditReport{std::move(*answers), std::move(*match), changed};
}

}  // namespace

int key_audit(Context& context, const AuditArgs& args) {
  const auto report_made = audit_all(context, args);
  if (!report_made) return report(context, report_made.error());
  if (context.json) {
    print_audit_json(context, *report_made);
  } else {
    print_audit(context, *report_made);
  }
  return report_made->in_step() == report_made->answers.size() ? kExitOk : kExitNo;
}

}  // namespace tfo
