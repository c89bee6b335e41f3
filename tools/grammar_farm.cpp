// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar_parts.h"

namespace tfo {

namespace {

using FarmCommand = int (*)(Context&, const FarmArgs&);
using FarmFileCommand = int (*)(Context&, const FarmFileArgs&);

void run_farm(CLI::App* command, Invocation& what, FarmCommand run) {
  command->callback(
      [&what, run] { what.run = [&what, run](Context& c) { return run(c, what.farm); }; });
}

void add_config(CLI::App* command, Invocation& what, FarmFileCommand run) {
  command->add_option("--config", what.farm_file.config, "tfod's configuration, with its \"farm\"")
      ->type_name("FILE")
      ->capture_default_str();
  command->callback(
      [&what, run] { what.run = [&what, run](Context& c) { return run(c, what.farm_file); }; });
}

void add_init(CLI::App* farm, Context& context, Invocation& what) {
  CLI::App* init = add_command(
      farm, context, "init",
      "Begin a farm, on one node and without tfod: makes the farm key file if there is none, and "
      "writes the pool's first document to etcd. Refused (exit code 1) if there is one already",
      "  tfoctl farm init\n"
      "  tfoctl farm init web --config /etc/tfoguard/tfod.json\n"
      "  ssh s1 tfoctl key export web | tfoctl farm init web --key-file -\n"
      "  tfoctl farm init web --force-new      # a lost farm made anew\n");
  init->add_option("POOL", what.farm_file.pool, "Pool with \"store\": \"etcd\"");
  init->add_option("--key-file", what.farm_file.keys,
                   "Keys that the farm begins with, one KEYTEXT a line: the first current, the "
                   "second previous, the others retired; - is standard input. Default: a random "
                   "one")
      ->type_name("FILE");
  init->add_flag("--force-new", what.farm_file.force_new,
                 "Although there is a document: it and its keys are given up, all nodes follow the "
                 "new one");
  add_config(init, what, farm_init);
}

void add_rekey(CLI::App* farm, Context& context, Invocation& what) {
  CLI::App* line = add_command(
      farm, context, "new-line",
      "Append a new random line to the farm key file of this node. It seals nothing until every "
      "node has a copy and `tfoctl farm rekey` was run",
      "  tfoctl farm new-line\n"
      "  scp -p /etc/tfoguard/farm.key root@s1:/etc/tfoguard/      # and all other nodes\n"
      "  tfoctl farm rekey --wait\n");
  add_config(line, what, farm_new_line);

  CLI::App* rekey = add_command(
      farm, context, "rekey",
      "Seal everything under the newest line of the farm key file. Refused while some member "
      "cannot open it",
      "  tfoctl farm rekey web --wait\n"
      "  tfoctl farm rekey web --revoke-all      # the old line has leaked\n");
  rekey->add_option("POOL", what.farm.pool, "Key pool; needed if there are several");
  rekey->add_flag("--revoke-all", what.farm.revoke_all,
                  "Whoever has the old line knows all keys: revoke them, with a new one in their "
                  "place. Every client's next cookie is refused once");
  add_waiting(rekey, what.farm);
  run_farm(rekey, what, farm_rekey);
}

}  // namespace

void add_waiting(CLI::App* command, FarmArgs& args) {
  command->add_flag("--wait", args.wait,
                    "Show who has acknowledged, until all members have. Exit code 1: refused, "
                    "held, or not complete in time");
  command->add_option("--timeout", args.timeout, "Of --wait")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
}

void add_node(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* node = add_object(&root, context, "node", "The nodes that share a pool through etcd",
                              "  tfoctl node list\n"
                              "  tfoctl node forget s3\n");
  CLI::App* list = add_command(node, context, "list",
                               "Every member: what it holds, since when, and when it was last seen",
                               "  tfoctl node list web\n"
                               "  tfoctl -j node list | jq '.members[] | select(.acked | not)'\n");
  list->add_option("POOL", what.farm.pool, "Key pool; needed if there are several");
  run_farm(list, what, node_list);

  CLI::App* forget = add_command(
      node, context, "forget",
      "No longer wait for a node that will not come back. A balancer is forgotten once it is sure "
      "to have stopped renewing",
      "  tfoctl node forget s3\n"
      "  tfoctl node forget lb2 web --off-wire\n");
  forget->add_option("NODE", what.farm.node, "Its name in `tfoctl node list`")->required();
  forget->add_option("POOL", what.farm.pool, "Key pool; needed if there are several");
  forget->add_flag("--off-wire", what.farm.off_wire,
                   "You vouch that this balancer sees no packets any more: do not wait");
  run_farm(forget, what, node_forget);
}

void add_farm(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* farm = add_object(&root, context, "farm", "What a farm shares through etcd",
                              "  tfoctl farm init web\n"
                              "  tfoctl farm new-line\n"
                              "  tfoctl farm rekey web --wait\n");
  add_init(farm, context, what);
  add_rekey(farm, context, what);
  CLI::App* adopt = add_command(
      farm, context, "adopt",
      "Have this node take etcd's document although its own is newer: after etcd came back from a "
      "backup that is to be in force. Otherwise the newer document is put back by itself",
      "  tfoctl farm adopt web\n");
  adopt->add_option("POOL", what.farm.pool, "Key pool; needed if there are several");
  run_farm(adopt, what, farm_adopt);
}

}  // namespace tfo
