// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/kernel_mib.h"

#include <unistd.h>

#include <charconv>

namespace tfo {

const std::array<KernelCounter, kKernelCounters> kKernelCounterTable = {{
    {"TCPFastOpenPassive", "passive", "Connections whose SYN data the kernel accepted"},
    {"TCPFastOpenPassiveFail", "passive_fail", "SYNs whose Fast Open the kernel refused"},
    {"TCPFastOpenPassiveAltKey", "passive_alt_key", "Cookies valid under the backup key"},
    {"TCPFastOpenCookieReqd", "cookie_reqd", "SYNs that asked for a cookie"},
    {"TCPFastOpenListenOverflow", "listen_overflow",
     "SYNs refused because a listener's Fast Open queue was full"},
    {"TCPFastOpenActive", "active", "Own connections whose SYN data was accepted"},
    {"TCPFastOpenActiveFail", "active_fail", "Own Fast Open attempts that failed"},
    {"TCPFastOpenBlackhole", "blackhole", "Times that own Fast Open was switched off for a while"},
    {"TCPSynRetrans", "syn_retrans", "SYNs and SYN-ACKs sent again"},
    {"SyncookiesSent", "syncookies_sent", "SYN cookies sent"},
    {"TCPReqQFullDoCookies", "req_q_full_do_cookies",
     "SYNs answered with a SYN cookie because the SYN queue was full"},
}};

namespace {

std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::string_view next_word(std::string_view& line) {
  const size_t start = line.find_first_not_of(' ');
  if (start == std::string_view::npos) return {};
  line.remove_prefix(start);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

void take(std::string_view name, std::string_view value, KernelMib& mib) {
  for (size_t i = 0; i < kKernelCounters; ++i) {
    if (kKernelCounterTable[i].name != name) continue;
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc{} && end == value.data() + value.size()) mib[i] = number;
  }
}

}  // namespace

Result<KernelMib> parse_netstat(std::string_view text) {
  KernelMib mib;
  bool found = false;
  while (!text.empty()) {
    std::string_view names = next_line(text);
    if (!names.starts_with("TcpExt: ")) continue;
    std::string_view values = next_line(text);
    if (!values.starts_with("TcpExt: ")) break;
    found = true;
    for (std::string_view name = next_word(names); !name.empty(); name = next_word(names)) {
      take(name, next_word(values), mib);
    }
  }
  if (!found) return fail("netstat has no pair of TcpExt lines");
  return mib;
}

std::optional<uint64_t> parse_resets(std::string_view text) {
  while (!text.empty()) {
    std::string_view names = next_line(text);
    if (!names.starts_with("Tcp: ")) continue;
    std::string_view values = next_line(text);
    for (std::string_view name = next_word(names); !name.empty(); name = next_word(names)) {
      const std::string_view value = next_word(values);
      uint64_t number = 0;
      if (name != "OutRsts") continue;
      const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
      return read.ec == std::errc{} ? std::optional(number) : std::nullopt;
    }
  }
  return std::nullopt;
}

namespace {

Result<std::string> read_all(int fd) {
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t n = pread(fd, buffer, sizeof(buffer), static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("netstat");
    if (n == 0) break;
    text.append(buffer, n);
  }
  return text;
}

}  // namespace

Result<KernelMib> read_netstat(int fd) {
  const auto text = read_all(fd);
  if (!text) return tl::unexpected(text.error());
  return parse_netstat(*text);
}

std::optional<uint64_t> read_resets(int fd) {
  const auto text = read_all(fd);
  return text ? parse_resets(*text) : std::nullopt;
}

}  // namespace tfo
