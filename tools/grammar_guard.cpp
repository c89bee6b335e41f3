// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar_parts.h"

namespace tfo {

namespace {

using GuardCommand = int (*)(Context&, const GuardArgs&);

CLI::App* add_network_command(CLI::App* guard, Context& context, Invocation& what, GuardCommand run,
                              const std::string& name, const std::string& help,
                              const std::string& examples) {
  CLI::App* command = add_command(guard, context, name, help, examples);
  command
      ->add_option("PREFIX", what.guard.network,
                   "Client network: 192.0.2.0/24, 2001:db8::/48, or one address")
      ->required();
  command->callback(
      [&what, run] { what.run = [&what, run](Context& c) { return run(c, what.guard); }; });
  return command;
}

CLI::Option* add_time(CLI::App* command, Invocation& what, const std::string& help) {
  // No text is not the same as no option, which may mean without end.
  const auto given = [](const std::string& text) -> std::string {
    return text.empty() ? "'' is no time: give one such as 90s, 30m, 12h or 7d" : "";
  };
  return command->add_option("--for", what.guard.duration, help)
      ->type_name("TIME")
      ->check(CLI::Validator(given, ""));
}

}  // namespace

void add_guard(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* guard =
      add_object(&root, context, "guard", "Client networks that hold too many handshakes open",
                 "  tfoctl guard list\n"
                 "  tfoctl guard release 192.0.2.0/24\n"
                 "  tfoctl guard deny 198.51.100.7 --for 1h\n"
                 "  tfoctl guard allow 2001:db8::/48 --for 12h\n");
  add_command(guard, context, "list",
              "Networks over their limits, newest first; what was said of networks; what happened",
              "  tfoctl guard list\n"
              "  tfoctl -j guard list | jq '.guarded[].network'\n")
      ->callback([&what] { what.run = guard_list; });
  add_network_command(
      guard, context, what, guard_release, "release",
      "Forget at once what a network has open, in every network that holds it or lies in it, and "
      "what deny or allow said of it. Exit code 1: there was nothing to forget",
      "  tfoctl guard release 192.0.2.0/24\n"
      "  tfoctl guard release 192.0.2.7      # and the load of its /24\n");
  CLI::App* deny = add_network_command(
      guard, context, what, guard_deny, "deny",
      "Take no Fast Open from a network for a while: its SYNs with valid cookies are demoted where "
      "a VIP enforces. Holds without tfod, ends by itself, and does not outlive a reboot",
      "  tfoctl guard deny 198.51.100.0/24 --for 30m\n"
      "  tfoctl guard deny 2001:db8:1:2::/64 --for 1h30m\n");
  add_time(deny, what, "How long: 90s, 30m, 12h, 7d; at most 366d")->required();
  CLI::App* allow = add_network_command(
      guard, context, what, guard_allow, "allow",
      "Hold a network to no limit. Of several entries that match a client the longest counts",
      "  tfoctl guard allow 192.0.2.0/24\n"
      "  tfoctl guard allow 192.0.2.0/24 --for 12h\n");
  add_time(allow, what, "How long; without it until `tfoctl guard release`, or a reboot");
}

}  // namespace tfo
