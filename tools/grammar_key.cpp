// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar_parts.h"

namespace tfo {

namespace {

using KeyCommand = int (*)(Context&, const KeyArgs&);

CLI::App* add_key_command(CLI::App* object, Context& context, Invocation& what, KeyCommand run,
                          const std::string& name, const std::string& help,
                          const std::string& examples) {
  CLI::App* command = add_command(object, context, name, help, examples);
  command->add_option("POOL", what.key.pool, "Key pool; needed if there are several");
  command->callback(
      [&what, run] { what.run = [&what, run](Context& c) { return run(c, what.key); }; });
  return command;
}

/// A command of `key` about a farm's rotation.
CLI::App* add_rotation(CLI::App* object, Context& context, Invocation& what,
                       int (*run)(Context&, const FarmArgs&), const std::string& name,
                       const std::string& help, const std::string& examples) {
  CLI::App* command = add_command(object, context, name, help, examples);
  command->callback(
      [&what, run] { what.run = [&what, run](Context& c) { return run(c, what.farm); }; });
  return command;
}

void add_rotations(CLI::App* key, Context& context, Invocation& what) {
  FarmArgs& args = what.farm;
  const std::string pool = "Key pool; needed if there are several";
  CLI::App* rotate =
      add_rotation(key, context, what, key_rotate, "rotate",
                   "Begin a rotation to a new key now, of the whole farm if it shares the pool",
                   "  tfoctl key rotate web\n"
                   "  tfoctl key rotate web --wait --timeout 120\n");
  rotate->add_option("POOL", args.pool, pool);
  add_waiting(rotate, args);

  CLI::App* revoke = add_rotation(
      key, context, what, key_revoke, "revoke",
      "A leaked key of a farm's pool: at once, clients that have its cookies are refused once",
      "  tfoctl key revoke 1122334455667788\n"
      "  tfoctl key revoke 1a2b3c4d web --gentle\n");
  revoke
      ->add_option("GENERATION", args.generation,
                   "Id or fingerprint, as `tfoctl key show` gives them")
      ->required();
  revoke->add_option("POOL", args.pool, pool);
  revoke->add_flag("--gentle", args.gentle,
                   "After a rotation to another key, so that servers "
                   "never mint what others refuse");

  CLI::App* abort =
      add_rotation(key, context, what, key_abort, "abort",
                   "Take back the rotation that a farm is in: the old key stays current",
                   "  tfoctl key abort web\n");
  abort->add_option("POOL", args.pool, pool);

  CLI::App* history = add_rotation(key, context, what, key_history, "history",
                                   "What has happened to a farm's pool, and by whom, oldest first",
                                   "  tfoctl key history\n"
                                   "  tfoctl -j key history web | jq '.events[-1]'\n");
  history->add_option("POOL", args.pool, pool);
}

void add_audit_targets(CLI::App* audit, AuditArgs& args) {
  audit->add_option("SERVER", args.servers,
                    "A server's own address: ADDRESS, ADDRESS:PORT, [IPV6]:PORT");
  audit
      ->add_option("--vip", args.vips,
                   "Ask this VIP at each next hop of its family; may be repeated")
      ->type_name("ADDRESS[:PORT]")
      ->allow_extra_args(false);
  audit
      ->add_option("--via", args.vias,
                   "Neighbours of this host that hold the VIP (direct server return)")
      ->type_name("NEXTHOP")
      ->delimiter(',');
  audit
      ->add_option("--port", args.ports,
                   "For servers given without one; default: the ports of the pool's VIPs")
      ->type_name("N[,N...]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 65535));
}

void add_audit_sending(CLI::App* audit, AuditArgs& args) {
  audit
      ->add_option("--source", args.sources,
                   "Send from this address of this host; default: the kernel chooses")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  audit->add_option("--tries", args.tries, "SYNs to a server that does not answer")
      ->type_name("N")
      ->check(CLI::Range(1, 10))
      ->capture_default_str();
  audit->add_option("--timeout", args.timeout, "Wait so long after each SYN")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.05, 60.0))
      ->capture_default_str();
  audit
      ->add_option("--ttl", args.ttl,
                   "Hop limit of what goes to a next hop. With 1 it cannot pass the SYN on to "
                   "another server; raise it where the VIP lives behind it, in a container")
      ->type_name("N")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
}

void add_audit_keys(CLI::App* audit, AuditArgs& args) {
  audit->add_option("--pool", args.pool, "tfod's key pool; needed if there are several")
      ->type_name("NAME");
  audit
      ->add_option("--key", args.keys.text,
                   "Keys instead of tfod's: the first is current, the second previous, the others "
                   "retired")
      ->type_name("KEYTEXT[,...]");
  audit
      ->add_option("--key-file", args.keys.file,
                   "File with one KEYTEXT a line; - is standard input")
      ->type_name("FILE");
}

void add_audit(CLI::App* key, Context& context, Invocation& what) {
  CLI::App* audit = add_command(
      key, context, "audit",
      "Which key does each server mint with? Asks it for a Fast Open cookie, one SYN without data, "
      "takes the connection back at once, and finds the key that made the cookie: a server with a "
      "stale or private key is found without logging in to it. The keys stay in tfod. Needs root. "
      "Exit code 0: all mint with the current key; 1: somebody does not",
      "  tfoctl key audit 203.0.113.1 203.0.113.2 [2001:db8:2::1]:443\n"
      "  tfoctl key audit --vip 192.0.2.10 --via 203.0.113.1 203.0.113.2 --port 80,443\n"
      "  tfoctl key audit --vip [2001:db8::10]:443 --via 2001:db8:2::1 fe80::2%eth1 --pool web\n"
      "  tfoctl key audit --key-file keys --port 443 203.0.113.1      # on a node without tfod\n"
      "  tfoctl -j key audit 203.0.113.1 | jq '.servers[] | select(.in_step | not)'\n");
  add_audit_targets(audit, what.audit);
  add_audit_sending(audit, what.audit);
  add_audit_keys(audit, what.audit);
  audit->callback([&what] { what.run = [&what](Context& c) { return key_audit(c, what.audit); }; });
}

void add_derive(CLI::App* key, Context& context, Invocation& what) {
  CLI::App* derive =
      add_command(key, context, "derive",
                  "Print the keys of a derived pool, which are secrets: primary,backup as the "
                  "servers hold them",
                  "  tfoctl key derive --secret /etc/tfoguard/web.secret --interval 86400\n"
                  "  tfoctl key derive --secret - --interval 86400 --at 1700000000 < web.secret\n");
  derive->add_option("--secret", what.derive.secret, "The secret; - is standard input")
      ->type_name("FILE")
      ->required();
  derive
      ->add_option("--interval", what.derive.interval,
                   "From one key to the next: even, 10 to 604800")
      ->type_name("SECONDS")
      ->required();
  derive->add_option("--at", what.derive.at, "The keys of that time; default: now")
      ->type_name("UNIXTIME");
  derive->callback(
      [&what] { what.run = [&what](Context& c) { return key_derive(c, what.derive); }; });
}

}  // namespace

void add_key(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* key = add_object(&root, context, "key", "The keys of a pool",
                             "  tfoctl key show\n"
                             "  tfoctl key rotate web --wait\n"
                             "  tfoctl key import web --key-file /root/keys\n"
                             "  tfoctl key audit 203.0.113.1 203.0.113.2 --port 443\n"
                             "  (umask 077; tfoctl key export web > /root/keys)\n");
  add_key_command(key, context, what, key_show, "show", "Fingerprints and lives of the keys",
                  "  tfoctl key show\n"
                  "  tfoctl -j key show web\n");
  add_rotations(key, context, what);
  CLI::App* import = add_key_command(
      key, context, what, key_import, "import",
      "Take these keys: the first becomes current, the second previous, the others retired",
      "  tfoctl key import web --key-file /root/keys\n"
      "  ssh lb1 tfoctl key export web | tfoctl key import web --key-file -\n");
  import
      ->add_option("--key-file", what.key.file, "File with one KEYTEXT a line; - is standard input")
      ->type_name("FILE")
      ->required();
  add_key_command(key, context, what, key_export, "export",
                  "Print the keys themselves, which are secrets, one KEYTEXT a line",
                  "  (umask 077; tfoctl key export web > /root/keys)\n");
  add_audit(key, context, what);
  add_derive(key, context, what);
}

}  // namespace tfo
