// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar_derive.h"

namespace tfo {

CLI::App* add_derive_options(CLI::App* command, DeriveArgs& args) {
  command->add_option("--secret", args.secret, "The secret; - is standard input")
      ->type_name("FILE")
      ->required();
  command->add_option("--interval", args.interval, "From one key to the next: even, 10 to 604800")
      ->type_name("SECONDS")
      ->required();
  command->add_option("--at", args.at, "The keys of that time; default: now")
      ->type_name("UNIXTIME");
  return command;
}

}  // namespace tfo
