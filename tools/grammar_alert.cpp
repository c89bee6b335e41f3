// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar_parts.h"

namespace tfo {

void add_alert(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* alert = add_object(&root, context, "alert", "What tfod alerts about, with its evidence",
                               "  tfoctl alert list\n"
                               "  tfoctl alert show vip:web\n"
                               "  tfoctl alert follow\n");
  add_command(alert, context, "list",
              "What is raised now, what cannot be judged yet, and who does not take our alerts",
              "  tfoctl alert list\n"
              "  tfoctl -j alert list | jq '.alerts[] | {id, severity, rate}'\n")
      ->callback([&what] { what.run = alert_list; });
  CLI::App* show = add_command(
      alert, context, "show",
      "One alert with its evidence, raised or cleared lately. Exit code 1: there is none",
      "  tfoctl alert show vip:web\n"
      "  tfoctl -j alert show carpet:192.0.2.0/24 | jq .evidence\n");
  show->add_option("ID", what.alert.id, "As `tfoctl alert list` shows it")->required();
  show->add_option("--pcap", what.alert.pcap,
                   "Write headers of some of its packets to this file, cookies zeroed");
  show->callback([&what] { what.run = [&what](Context& c) { return alert_show(c, what.alert); }; });
  CLI::App* follow = add_command(
      alert, context, "follow",
      "Print alerts as they are raised, change and are cleared, until Ctrl-C; a tfod that is "
      "restarted is waited for. With -j one JSON document a line",
      "  tfoctl alert follow\n"
      "  tfoctl -j alert follow | jq -c '[.what, .alert.id]'\n");
  follow->add_option("--interval", what.alert.interval, "Seconds between two looks")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  follow->add_option("--count", what.alert.count, "Changes until it ends; 0: until Ctrl-C")
      ->type_name("N")
      ->capture_default_str();
  follow->callback(
      [&what] { what.run = [&what](Context& c) { return alert_follow(c, what.alert); }; });
}

}  // namespace tfo
