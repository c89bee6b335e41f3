// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar_parts.h"

namespace tfo {

void add_top(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* top = add_command(
      &root, context, "top",
      "Whether Fast Open works, drawn anew every second: classes and round trips saved by VIP, "
      "keys, guarded networks, alerts, reflection. With -j one JSON document",
      "  tfoctl top\n"
      "  tfoctl top --interval 5\n"
      "  tfoctl top --once | mail -s tfoguard noc\n"
      "\nKeys:\n"
      "  q            end\n"
      "  1-5, Tab     the table: VIPs, guarded networks, alerts, why, reflection\n"
      "  < >, arrows  sort by the column before or after; r: the other way round\n"
      "  up, down, PageUp, PageDown\n"
      "               rows that do not fit\n"
      "  Space        pause, and go on\n"
      "NO_COLOR turns colours off. COLUMNS is how wide --once is, 132 without it.\n");
  top->add_option("--interval", what.top.interval, "Seconds between two looks")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  top->add_flag("--once", what.top.once,
                "Two looks, one text with every table and all rows; needs no terminal");
  top->callback([&what] { what.run = [&what](Context& c) { return top_run(c, what.top); }; });
}

}  // namespace tfo
