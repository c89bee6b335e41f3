// SPDX-License-Identifier: BSD-2-Clause
#include "tools/grammar.h"

#include <algorithm>

#include "loader/keys/redact.h"
#include "tools/grammar_parts.h"

namespace tfo {

namespace {

constexpr const char* kKeyHelp =
    "KEYTEXT is the kernel's form of a key: xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx.\n"
    "--key-file keeps it out of the process list and the shell's history.\n";

/// Adds the options that every command knows, so that they may stand before or after it.
void add_global(CLI::App* app, Context& context) {
  app->add_flag("-j,--json", context.json, "One JSON document on standard output");
  app->add_flag_callback("-v,--verbose", log_everything, "More on standard error");
  app->add_option("--socket", context.socket, "tfod's control socket")
      ->type_name("PATH")
      ->capture_default_str();
  app->add_option_function<std::string>(
         "--instance",
         [&context](const std::string& name) {
           context.instance = name;
           context.instance_given = true;
         },
         "Instance of tfod")
      ->type_name("NAME")
      ->default_str(context.instance)
      ->check(
          [](const std::string& name) {
            const bool plain = !name.empty() && name[0] != '.' &&
                               name.find('/') == std::string::npos && name.size() < 64;
            return plain ? std::string() : std::string("an instance's name has no '/'");
          },
          "");
}

}  // namespace

CLI::App* add_command(CLI::App* parent, Context& context, const std::string& name,
                      const std::string& help, const std::string& examples) {
  CLI::App* command = parent->add_subcommand(name, help);
  add_global(command, context);
  command->footer("\nExamples:\n" + examples);
  return command;
}

CLI::App* add_object(CLI::App* root, Context& context, const std::string& name,
                     const std::string& help, const std::string& examples) {
  CLI::App* object = add_command(root, context, name, help, examples);
  object->require_subcommand(1);
  return object;
}

namespace {

void add_watching(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* status = add_command(&root, context, "status", "What runs and what is wrong",
                                 "  tfoctl status\n"
                                 "  tfoctl -j status | jq .conditions\n");
  status->callback([&what] { what.run = status_show; });

  CLI::App* stats = add_command(&root, context, "stats", "What was counted, by VIP and reason",
                                "  tfoctl stats\n"
                                "  tfoctl stats --vip web\n"
                                "  tfoctl -j stats\n"
                                "  tfoctl stats watch --vip web\n");
  CLI::App* watch = add_command(stats, context, "watch", "Redraw with rates until Ctrl-C",
                                "  tfoctl stats watch\n"
                                "  tfoctl stats watch --vip web --interval 5\n");
  for (CLI::App* command : {stats, watch}) {
    command->add_option("--vip", what.stats.vip, "Only this VIP, with every reason")
        ->type_name("NAME");
  }
  watch->add_option("--interval", what.stats.interval, "Seconds between two tables")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  watch->add_option("--count", what.stats.count, "Tables until it ends; 0: until Ctrl-C")
      ->type_name("N")
      ->capture_default_str();
  stats->require_subcommand(0, 1);
  stats->callback([&what] {
    if (!what.run) what.run = [&what](Context& c) { return stats_show(c, what.stats); };
  });
  watch->callback(
      [&what] { what.run = [&what](Context& c) { return stats_watch(c, what.stats); }; });
}

void add_vip(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* vip = add_object(&root, context, "vip", "The configured VIPs", "  tfoctl vip list\n");
  add_command(vip, context, "list", "Every VIP with its addresses, ports and key pool",
              "  tfoctl vip list\n"
              "  tfoctl -j vip list\n")
      ->callback([&what] { what.run = vip_list; });
}

CLI::App* add_cookie_command(CLI::App* object, Context& context, Invocation& what,
                             const std::string& name, const std::string& help,
                             const std::string& examples) {
  CLI::App* command = add_command(object, context, name, help, examples + "\n" + kKeyHelp);
  command->add_option("--key", what.cookie.keys.text, "The key, or keys separated by commas")
      ->type_name("KEYTEXT");
  command
      ->add_option("--key-file", what.cookie.keys.file,
                   "File with one KEYTEXT a line; - is standard input")
      ->type_name("FILE");
  command->add_option("SRC", what.cookie.source, "Address of the client")->required();
  command->add_option("DST", what.cookie.destination, "Address of the server, the VIP")->required();
  return command;
}

void add_cookie(CLI::App& root, Context& context, Invocation& what) {
  const std::string key = "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4";
  CLI::App* cookie = add_object(
      &root, context, "cookie", "Make and check cookies; needs neither root nor a daemon",
      "  tfoctl cookie make --key-file keys 192.0.2.1 192.168.0.1\n"
      "  tfoctl cookie check --key-file keys 192.0.2.1 192.168.0.1 3021b9d889017eeb\n");
  add_cookie_command(cookie, context, what, "make", "The cookie that Linux mints with this key",
                     "  tfoctl cookie make --key " + key +
                         " 192.0.2.1 192.168.0.1\n"
                         "  tfoctl cookie make --key-file - fd3d::1 fd3d::2 < key\n")
      ->callback(
          [&what] { what.run = [&what](Context& c) { return cookie_make(c, what.cookie); }; });
  CLI::App* check = add_cookie_command(
      cookie, context, what, "check",
      "Which of the keys, counted from 1, made this cookie; exit code 1 if none did",
      "  tfoctl cookie check --key " + key +
          " \\\n"
          "      192.0.2.1 192.168.0.1 3021b9d889017eeb\n"
          "  tfoctl key export web | \\\n"
          "      tfoctl cookie check --key-file - 192.0.2.1 192.168.0.1 3021b9d889017eeb\n");
  check->add_option("COOKIE", what.cookie.cookie, "16 hexadecimal digits, as in the packet")
      ->required();
  check->callback(
      [&what] { what.run = [&what](Context& c) { return cookie_check(c, what.cookie); }; });
}

void add_detach(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* detach = add_command(&root, context, "detach",
                                 "Take everything off the wire, with or without a daemon",
                                 "  tfoctl detach\n"
                                 "  tfoctl detach --instance edge --force\n"
                                 "  tfoctl detach --restore      # and the servers' old keys\n");
  detach->add_flag("--restore", what.detach.restore,
                   "Put back the keys and the server bit that tfod found at its first start");
  detach
      ->add_option("--state-directory", what.detach.state_directory,
                   "Where tfod keeps its state, for --restore without a daemon")
      ->type_name("DIR")
      ->capture_default_str();
  detach->add_flag("--force", what.detach.force, "Do not ask a daemon: remove the pins directly");
  detach->add_option("--bpffs", what.detach.bpffs, "Where the BPF file system is mounted")
      ->type_name("DIR")
      ->capture_default_str();
  detach->callback(
      [&what] { what.run = [&what](Context& c) { return detach_run(c, what.detach); }; });
}

/// What says on which node packets are judged; the same for replay and explain.
void add_world_options(CLI::App* command, WorldArgs& args) {
  command->add_option("--config", args.config, "tfod's configuration: its VIPs, keys, interfaces")
      ->type_name("FILE");
  command
      ->add_option("--key", args.keys.text,
                   "Keys instead of a configuration: the first is current, the others previous")
      ->type_name("KEYTEXT[,...]");
  command
      ->add_option("--key-file", args.keys.file,
                   "File with one KEYTEXT a line; - is standard input")
      ->type_name("FILE");
  command
      ->add_option(
          "--interface", args.interface,
          "Interface of the configuration that packets come in by; default: the one that the "
          "capture names, else the first")
      ->type_name("NAME");
  command
      ->add_option("--decap", args.decap,
                   "Without a configuration: tunnels to look into: ipip, gue")
      ->type_name("ipip,gue")
      ->delimiter(',');
}

void add_replay(CLI::App& root, Context& context, Invocation& what) {
  ReplayArgs& args = what.replay;
  CLI::App* replay = add_command(
      &root, context, "replay",
      "A capture through the very program that runs on the wire, on the capture's clock. Runs in "
      "the kernel's test run on maps of its own: neither traffic nor a running tfod is touched. "
      "With --config the SYN-ACK monitor and its alerts run, too. Without it every SYN's "
      "destination counts as a VIP, the first key as current and the others as previous",
      "  tcpdump -i eth0 -w syns.pcap \\\n"
      "      'tcp[tcpflags] & tcp-syn != 0 or (ip6[6] == 6 and ip6[53] & 2 != 0)'\n"
      "  tfoctl replay syns.pcap --key-file keys\n"
      "  tfoctl replay syns.pcap --config /etc/tfoguard/tfod.json --frames\n"
      "  tfoctl replay syns.pcap --key-file keys --out judged.pcapng\n"
      "  ssh lb1 tcpdump -i eth0 -w - tcp | tfoctl -j replay - --key-file keys\n");
  replay->add_option("FILE", args.file, "pcap or pcapng capture; - is standard input")->required();
  add_world_options(replay, args.world);
  replay->add_flag("--frames", args.frames, "One line per frame, then the totals");
  replay
      ->add_option("--out", args.out,
                   "Write the frames as the program left them, as pcapng, each with its verdict as "
                   "a comment")
      ->type_name("FILE");
  replay->add_flag("--incoming", args.incoming,
                   "Skip frames that the capture marks as sent by its own host");
  replay->add_option("--refused", args.refused, "Rows of the table of refused clients")
      ->type_name("N")
      ->capture_default_str();
  replay->callback(
      [&what] { what.run = [&what](Context& c) { return replay_run(c, what.replay); }; });
}

void add_explain(CLI::App& root, Context& context, Invocation& what) {
  ExplainArgs& args = what.explain;
  CLI::App* explain = add_command(
      &root, context, "explain",
      "One packet's way through the stages, in words: its headers and options, the keys it was "
      "tried under, the rule that decided, what the servers answer. The verdict is that of the "
      "program that runs on the wire, run on maps of its own as `replay` does",
      "  tfoctl explain syns.pcap --frame 3 --key-file keys\n"
      "  tfoctl explain syns.pcap --frame 3 --config /etc/tfoguard/tfod.json\n"
      "  tfoctl explain --hex '4500 0028 ...' --key-file keys\n"
      "  xxd -p frame.bin | tfoctl -j explain --hex - --link ethernet\n");
  explain->add_option("FILE", args.file, "pcap or pcapng capture; - is standard input");
  explain->add_option("--frame", args.frame, "Which frame of FILE, from 1")->type_name("N");
  explain
      ->add_option(
          "--hex", args.hex,
          "The packet's bytes as hex digits instead of a FILE; blanks, newlines and colons "
          "do not matter; - is standard input")
      ->type_name("BYTES");
  explain->add_option("--link", args.link, "What --hex begins with: Ethernet, or raw IP")
      ->type_name("LINK")
      ->check(CLI::IsMember({"auto", "ethernet", "raw"}))
      ->capture_default_str();
  add_world_options(explain, args.world);
  explain->callback(
      [&what] { what.run = [&what](Context& c) { return explain_run(c, what.explain); }; });
}

void add_bench_options(CLI::App* bench, BenchArgs& args) {
  bench->add_option("--runs", args.runs, "Each figure is the median of so many runs")
      ->type_name("N")
      ->check(CLI::Range(1, 1001))
      ->capture_default_str();
  bench->add_option("--repeat", args.repeat, "Packets of one hot run")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  bench->add_option("--packets", args.packets, "Distinct packets of one cold run; a power of two")
      ->type_name("N")
      ->check(CLI::Range(1024, 1 << 23))
      ->check(
          [](const std::string& text) {
            const unsigned long packets = std::strtoul(text.c_str(), nullptr, 10);
            return (packets & (packets - 1)) == 0 ? "" : "must be a power of two";
          },
          "")
      ->capture_default_str();
  bench->add_option("--case", args.cases, "Only these cases")->type_name("CASE")->delimiter(',');
  bench->add_option("--family", args.family, "Only IPv4 (4) or IPv6 (6)")
      ->type_name("4|6")
      ->check(CLI::IsMember({4, 6}));
  bench->add_option("--cpu", args.cpu, "Processor to run on; default: the last one")
      ->type_name("N")
      ->check(CLI::Range(0, 8191));
  bench->add_flag("--check", args.check, "Exit code 1 if a row is above 1.5 times its goal");
}

void add_bench(CLI::App& root, Context& context, Invocation& what) {
  CLI::App* bench = add_command(
      &root, context, "bench",
      "What a packet costs in the XDP program, measured against an empty one. Runs in the "
      "kernel's test run on maps of its own: neither traffic nor a running tfod is touched",
      "  tfoctl bench\n"
      "  tfoctl -j bench > bench.json\n"
      "  tfoctl bench --case cookie_valid --family 4 --runs 31\n"
      "\nCases:\n" +
          bench_cases_help());
  add_bench_options(bench, what.bench);
  bench->callback([&what] { what.run = [&what](Context& c) { return bench_run(c, what.bench); }; });
}

std::string path_of(const CLI::App* command) {
  const CLI::App* parent = command->get_parent();
  return (parent == nullptr ? "" : path_of(parent) + " ") + command->get_name();
}

/// What is wrong where a command is missing: which word is none, and which words there are.
std::string missing_command(const CLI::App* at) {
  const std::vector<std::string> words = at->remaining();
  std::string text = words.empty() ? "a command is missing:" : "what is '" + words.front() + "'?";
  text += " `" + path_of(at) + "` knows";
  for (const CLI::App* command : at->get_subcommands(nullptr)) text += " " + command->get_name();
  return text;
}

/// Says what is wrong and where the help is.
int usage(Context& context, const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* at = &root;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const bool incomplete = at->get_require_subcommand_min() > 0;
  const std::string text = incomplete ? missing_command(at) : error.what();
  context.err << "tfoctl: " << without_keys(text) << "; see `" << path_of(at) << " --help`\n";
  return kExitFailed;
}

}  // namespace

int run_tfoctl(Context& context, std::vector<std::string> arguments) {
  CLI::App root("tfoctl: see and steer tfoguard, the TCP Fast Open validator", "tfoctl");
  Invocation what;
  add_global(&root, context);
  root.set_version_flag("--version", std::string("tfoctl ") + TFO_VERSION, "Print the version");
  root.require_subcommand(1);
  root.get_formatter()->label("SUBCOMMAND", "COMMAND");
  root.get_formatter()->label("Subcommands", "Commands");
  root.footer(
      "\nExamples:\n  tfoctl status\n  tfoctl stats watch\n  tfoctl -j key show\n"
      "  tfoctl cookie make --help\n\n"
      "Exit codes: 0 success, 1 the answer is no, 2 wrong usage or a failure.\n");
  add_watching(root, context, what);
  add_top(root, context, what);
  add_vip(root, context, what);
  add_guard(root, context, what);
  add_alert(root, context, what);
  add_key(root, context, what);
  add_node(root, context, what);
  add_farm(root, context, what);
  add_cookie(root, context, what);
  add_detach(root, context, what);
  add_bench(root, context, what);
  add_replay(root, context, what);
  add_explain(root, context, what);

  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes a vector
  try {
    root.parse(arguments);
  } catch (const CLI::Success& wanted) {
    return root.exit(wanted, context.out, context.err) == 0 ? kExitOk : kExitFailed;
  } catch (const CLI::ParseError& error) {
    return usage(context, root, error);
  }
  return what.run(context);
}

}  // namespace tfo
