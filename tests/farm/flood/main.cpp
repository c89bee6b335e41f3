// SPDX-License-Identifier: BSD-2-Clause
// tfo_flood: SYNs at a rate, out of an interface of this network namespace. Tests use it as the
// attacker of a farm in namespaces of their own; never point it at a network.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <net/if.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "flood.h"
#include "loader/keys/key.h"
#include "tfo_flood.skel.h"

namespace {

using std::chrono::steady_clock;

constexpr char kUsage[] =
    R"(Usage: tfo_flood --interface NAME --mac MAC --to ADDRESS:PORT [options]

SYNs with made-up sources, as fast as asked, out of an interface of this network namespace whose
peer has an XDP program or generic receive offload (ethtool -K PEER gro on). Prints one JSON object
{"syns": N, "answers": N, "seconds": S} when it ends, by time or by SIGTERM.

  --mac MAC            Ethernet destination, xx:xx:xx:xx:xx:xx
  --to ADDRESS:PORT    IPv6 without brackets; --destinations N: N addresses from there on (default 1)
  --from ADDRESS       the first network of the sources, a /24 or /48 (default 198.19.0.0, 3fff::)
  --prefixes N         so many of them (default 1); --hosts N: sources in each, 1..254 (default 254)
  --cookie KIND        none (no Fast Open option), forged, valid (under --key-file)
  --key-file FILE      a key in the kernel's text form, as in tcp_fastopen_key
  --no-data            SYNs carry no data
  --acks LAG           an ACK with a guessed number follows each SYN, LAG SYNs later
  --resets LAG         the same with a RST that the server takes
  --tuples N           the same N SYNs again and again, number and all
  --rate N             frames a second; 0: as many as can be (default 1000)
  --seconds N          end after that (default: when told to)
  --seed N             of all that is random (default: the clock)
)";

struct Options {
  std::string interface, mac, to, from, cookie = "none", key_file;
  uint32_t prefixes = 1, hosts = 254, destinations = 1, lag = 0, tuples = 0;
  uint64_t rate = 1000,
           seed = static_cast<uint64_t>(steady_clock::now().time_since_epoch().count());
  double seconds = 1e9;
  bool data = true, resets = false;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "tfo_flood: %s\n", why.c_str());
  std::exit(2);
}

template <typename T>
T number(const char* flag, const std::string& text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    fail(std::string(flag) + ": \"" + text + "\" is no number in its range; see --help");
  return value;
}

/// Words in host order, one for IPv4; says whether it is IPv6.
bool address(const char* flag, const std::string& text, __u32 (&words)[4]) {
  const bool v6 = text.find(':') != std::string::npos;
  uint32_t parsed[4] = {};
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), parsed) != 1)
    fail(std::string(flag) + ": \"" + text + "\" is no address");
  for (size_t i = 0; i < 4; ++i) words[i] = ntohl(parsed[i]);
  return v6;
}

Options parse(int argc, char** argv) {
  enum {
    kInterface = 256,
    kMac,
    kTo,
    kDestinations,
    kFrom,
    kPrefixes,
    kHosts,
    kCookie,
    kKeyFile,
    kNoData,
    kAcks,
    kResets,
    kTuples,
    kRate,
    kSeconds,
    kSeed
  };
  const option names[] = {{"interface", 1, nullptr, kInterface},
                          {"mac", 1, nullptr, kMac},
                          {"to", 1, nullptr, kTo},
                          {"destinations", 1, nullptr, kDestinations},
                          {"from", 1, nullptr, kFrom},
                          {"prefixes", 1, nullptr, kPrefixes},
                          {"hosts", 1, nullptr, kHosts},
                          {"cookie", 1, nullptr, kCookie},
                          {"key-file", 1, nullptr, kKeyFile},
                          {"no-data", 0, nullptr, kNoData},
                          {"acks", 1, nullptr, kAcks},
                          {"resets", 1, nullptr, kResets},
                          {"tuples", 1, nullptr, kTuples},
                          {"rate", 1, nullptr, kRate},
                          {"seconds", 1, nullptr, kSeconds},
                          {"seed", 1, nullptr, kSeed},
                          {"help", 0, nullptr, 'h'},
                          {nullptr, 0, nullptr, 0}};
  Options o;
  for (int c = 0; (c = getopt_long(argc, argv, "h", names, nullptr)) != -1;) {
    const std::string text = optarg != nullptr ? optarg : "";
    switch (c) {
      case kInterface:
        o.interface = text;
        break;
      case kMac:
        o.mac = text;
        break;
      case kTo:
        o.to = text;
        break;
      case kDestinations:
        o.destinations = number<uint32_t>("--destinations", text, 1, 65536);
        break;
      case kFrom:
        o.from = text;
        break;
      case kPrefixes:
        o.prefixes = number<uint32_t>("--prefixes", text, 1, 1U << 24);
        break;
      case kHosts:
        o.hosts = number<uint32_t>("--hosts", text, 1, 254);
        break;
      case kCookie:
        o.cookie = text;
        break;
      case kKeyFile:
        o.key_file = text;
        break;
      case kNoData:
        o.data = false;
        break;
      case kAcks:
      case kResets:
        o.resets = c == kResets;
        o.lag = number<uint32_t>("--acks, --resets", text, 1, 1U << 20);
        break;
      case kTuples:
        o.tuples = number<uint32_t>("--tuples", text, 1, 1U << 20);
        break;
      case kRate:
        o.rate = number<uint64_t>("--rate", text, 0, 100'000'000);
        break;
      case kSeconds:
        o.seconds = number<uint32_t>("--seconds", text, 1, 1'000'000);
        break;
      case kSeed:
        o.seed = number<uint64_t>("--seed", text, 0, UINT64_MAX);
        break;
      case 'h':
        std::fputs(kUsage, stdout);
        std::exit(0);
      default:
        std::fputs(kUsage, stderr);
        std::exit(2);
    }
  }
  if (o.interface.empty() || o.mac.empty() || o.to.empty())
    fail("--interface, --mac and --to are needed; see --help");
  return o;
}

uint32_t sum_of(const uint8_t* bytes, size_t count) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < count; i += 2) {
    uint16_t word = 0;
    std::memcpy(&word, bytes + i, 2);
    sum += word;
  }
  return sum;
}

void store16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

/// Ethernet, IP and TCP headers; `header`: bytes of TCP's, `segment`: of TCP in all. Returns where
/// TCP begins.
uint8_t* fill_headers(uint8_t* frame, const Options& o, bool v6, size_t header, size_t segment) {
  if (std::sscanf(o.mac.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &frame[0], &frame[1], &frame[2],
                  &frame[3], &frame[4], &frame[5]) != 6)
    fail("--mac: \"" + o.mac + "\" is no Ethernet address");
  const uint8_t source[6] = {2, 0, 0, 0, 0x66, 0x6c};
  std::memcpy(frame + 6, source, 6);
  store16(frame + 12, v6 ? ETH_P_IPV6 : ETH_P_IP);
  uint8_t* ip = frame + 14;
  if (v6) {
    ip[0] = 0x60;
    store16(ip + 4, static_cast<uint16_t>(segment));
    ip[6] = IPPROTO_TCP;
    ip[7] = 64;
  } else {
    ip[0] = 0x45;
    store16(ip + 2, static_cast<uint16_t>(20 + segment));
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
  }
  uint8_t* tcp = ip + (v6 ? 40 : 20);
  store16(tcp + 2, number<uint16_t>("--to", o.to.substr(o.to.rfind(':') + 1), 1, 65535));
  tcp[12] = static_cast<uint8_t>(header / 4 << 4);
  store16(tcp + 14, 64240);
  return tcp;
}

uint32_t tcp_sum(const uint8_t* tcp, size_t bytes, size_t segment) {
  return sum_of(tcp, bytes) + htons(IPPROTO_TCP) + htons(static_cast<uint16_t>(segment));
}

void fill(tfo_flood_config& config, const Options& o, const std::string& data) {
  const size_t colon = o.to.rfind(':');
  if (colon == std::string::npos) fail("--to: \"" + o.to + "\" is not ADDRESS:PORT");
  const bool v6 = address("--to", o.to.substr(0, colon), config.destination);
  const std::string from = !o.from.empty() ? o.from : v6 ? "3fff::" : "198.19.0.0";
  if (address("--from", from, config.source) != v6) fail("--from: is not of the family of --to");
  if (v6 && o.prefixes > 65536) fail("--prefixes: at most 65536 of IPv6");
  config.source[v6 ? 3 : 0] &= 0xffffff00U;
  config.v6 = v6 ? 1 : 0;
  config.headers = FLOOD_HEADERS - (v6 ? 0 : 20);
  config.destinations = o.destinations;
  config.prefixes = o.prefixes;
  config.hosts = o.hosts;
  config.data = static_cast<uint32_t>(data.size());
  config.lag = o.lag;
  config.guess = o.resets ? 0 : 1;
  config.tuples = o.tuples;
  config.seed = o.seed * 0x9e3779b97f4a7c15ULL;

  const size_t header = 20 + FLOOD_OPTIONS;
  uint8_t syn[FLOOD_HEADERS] = {};
  uint8_t* tcp = fill_headers(syn, o, v6, header, header + data.size());
  tcp[13] = 0x02;
  const uint8_t fast_open[FLOOD_OPTIONS] = {34, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
  const uint8_t plain[FLOOD_OPTIONS] = {2, 4, 0x05, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7};
  std::memcpy(tcp + 20, config.cookie == FLOOD_NO_OPTION ? plain : fast_open, FLOOD_OPTIONS);
  config.syn_ip_sum = sum_of(syn + 14, 20);
  config.syn_tcp_sum = tcp_sum(tcp, header, header + data.size()) +
                       sum_of(reinterpret_cast<const uint8_t*>(data.data()), data.size());
  std::memcpy(config.syn, syn, sizeof(syn));

  uint8_t answer[FLOOD_HEADERS] = {};
  tcp = fill_headers(answer, o, v6, 20, 20);
  tcp[13] = o.resets ? 0x04 : 0x10;
  config.answer_ip_sum = sum_of(answer + 14, 20);
  config.answer_tcp_sum = tcp_sum(tcp, 20, 20);
  std::memcpy(config.answer, answer, sizeof(answer));
}

void set_cookie(tfo_flood_config& config, const Options& o) {
  if (o.cookie == "none") {
    config.cookie = FLOOD_NO_OPTION;
  } else if (o.cookie == "forged") {
    config.cookie = FLOOD_FORGED;
  } else if (o.cookie == "valid") {
    config.cookie = FLOOD_VALID;
    std::string text;
    if (!std::getline(std::ifstream(o.key_file), text))
      fail("--key-file: cannot read a line of it");
    const auto key = tfo::Key::parse(text);
    if (!key) fail("--key-file: " + key.error().message);
    config.k0 = key->k0();
    config.k1 = key->k1();
  } else {
    fail("--cookie: none, forged or valid, not \"" + o.cookie + "\"");
  }
}

std::atomic<bool> told_to_stop{
    false};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

/// Runs the program `count` times; false: the kernel was interrupted.
bool send(int program, xdp_md& context, std::string& frame, uint64_t count) {
  LIBBPF_OPTS(bpf_test_run_opts, run);
  run.data_in = frame.data();
  run.data_size_in = static_cast<uint32_t>(frame.size());
  run.ctx_in = &context;
  run.ctx_size_in = sizeof(context);
  run.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  run.repeat = static_cast<int>(count);
  run.batch_size = static_cast<uint32_t>(std::min<uint64_t>(count, 64));
  const int error = bpf_prog_test_run_opts(program, &run);
  if (error == -EINTR) return false;
  if (error != 0) fail(std::string("BPF_PROG_TEST_RUN: ") + std::strerror(-error));
  return true;
}

/// In portions of a millisecond, or frame by frame if there are fewer.
void flood_on(int program, xdp_md& context, std::string& frame, const Options& o,
              const __u64& made) {
  const auto start = steady_clock::now();
  const auto end = start + std::chrono::duration<double>(std::min(o.seconds, 1e8));
  const uint64_t most = 20'000;
  while (!told_to_stop && steady_clock::now() < end) {
    if (o.rate == 0) {
      send(program, context, frame, most);
      continue;
    }
    const std::chrono::duration<double> passed = steady_clock::now() - start;
    const auto due = static_cast<uint64_t>(passed.count() * static_cast<double>(o.rate)) + 1;
    const uint64_t sent = *static_cast<const volatile __u64*>(&made);
    if (due > sent) send(program, context, frame, std::min(due - sent, most));
    const auto pause =
        std::max<int64_t>(1'000'000, 1'000'000'000 / static_cast<int64_t>(o.rate) / 2);
    std::this_thread::sleep_for(std::chrono::nanoseconds(pause));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  std::signal(SIGTERM, [](int) { told_to_stop = true; });
  std::signal(SIGINT, [](int) { told_to_stop = true; });
  const auto skeleton = std::unique_ptr<tfo_flood, decltype(&tfo_flood__destroy)>(
      tfo_flood__open(), &tfo_flood__destroy);
  if (!skeleton) fail("cannot open the program");
  const std::string data(o.data ? FLOOD_DATA : 0, 'x');
  tfo_flood_config config{};
  set_cookie(config, o);
  fill(config, o, data);
  std::memcpy(const_cast<tfo_flood_config*>(&skeleton->rodata->flood), &config, sizeof(config));
  if (tfo_flood__load(skeleton.get()) != 0) fail("the kernel refused the program");

  std::string frame = std::string(config.headers, '\0') + data;
  xdp_md context{};
  context.data_end = static_cast<uint32_t>(frame.size());
  context.ingress_ifindex = if_nametoindex(o.interface.c_str());
  if (context.ingress_ifindex == 0) fail("--interface: there is no \"" + o.interface + "\" here");
  const auto start = steady_clock::now();
  const __u64& made = skeleton->bss->flood_made;
  flood_on(bpf_program__fd(skeleton->progs.flood_frame), context, frame, o, made);
  const std::chrono::duration<double> passed = steady_clock::now() - start;
  const uint64_t answers = o.lag == 0 || made / 2 < o.lag ? 0 : made / 2 - o.lag;
  std::printf("{\"syns\": %llu, \"answers\": %llu, \"seconds\": %.3f}\n",
              static_cast<unsigned long long>(made - answers),
              static_cast<unsigned long long>(answers), passed.count());
  return 0;
}
