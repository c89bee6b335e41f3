// SPDX-License-Identifier: BSD-2-Clause
#include "loader/network_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <charconv>
#include <thread>

#include "loader/keys/sysctl_sink.h"

namespace tfo {
namespace {

constexpr std::string_view kRunNetns = "/run/netns/";

Result<Fd> open_file(const char* path, int flags) {
  Fd fd(::open(path, flags | O_CLOEXEC));
  if (fd) return fd;
  const int error = errno;
  std::string hint;
  if (error == EROFS)
    hint = " (/proc/sys is read-only here: see ProtectKernelTunables= of the unit)";
  if (error == ENOENT) hint = " (no TCP Fast Open in this kernel, or /proc is not mounted)";
  return fail_errno(fmt::format("cannot open {}{}", path, hint), error);
}

Result<Fd> duplicate(const Fd& fd) {
  Fd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno("cannot duplicate a descriptor");
  return copy;
}

Result<unsigned> read_number(const Fd& fd) {
  char text[32];
  const ssize_t n = pread(fd.get(), text, sizeof(text), 0);
  if (n < 0) return fail_errno("cannot read it");
  unsigned number = 0;
  if (std::from_chars(text, text + n, number).ec != std::errc{}) return fail("it is no number");
  return number;
}

}  // namespace

Result<> NetworkNamespace::open_files(bool manage) {
  // thread-self: /proc/net would show the namespace of the process, not of this thread.
  auto netstat = open_file("/proc/thread-self/net/netstat", O_RDONLY);
  if (!netstat) return tl::unexpected(netstat.error());
  netstat_ = std::move(*netstat);
  // Without these four something less is shown.
  snmp_ = Fd(::open("/proc/thread-self/net/snmp", O_RDONLY | O_CLOEXEC));
  somaxconn_ = Fd(::open("/proc/sys/net/core/somaxconn", O_RDONLY | O_CLOEXEC));
  synack_retries_ = Fd(::open("/proc/sys/net/ipv4/tcp_synack_retries", O_RDONLY | O_CLOEXEC));
  if (auto diag = SocketDiag::open()) diag_.emplace(std::move(*diag));
  const int flags = manage ? O_RDWR : O_RDONLY;
  auto fastopen = open_file("/proc/sys/net/ipv4/tcp_fastopen", flags);
  if (!fastopen) return tl::unexpected(fastopen.error());
  fastopen_ = std::move(*fastopen);
  if (!manage) return {};
  auto key = open_file("/proc/sys/net/ipv4/tcp_fastopen_key", flags);
  if (!key) return tl::unexpected(key.error());
  key_ = std::move(*key);
  return {};
}

Result<std::shared_ptr<NetworkNamespace>> NetworkNamespace::open(
    const std::string& netns, bool manage, std::shared_ptr<const ListenerIterator> iterator) {
  std::shared_ptr<NetworkNamespace> made(new NetworkNamespace());
  made->path_ = netns;
  made->label_ = netns.empty() ? "self" : netns;
  made->iterator_ = std::move(iterator);
  if (netns.starts_with(kRunNetns)) made->label_ = netns.substr(kRunNetns.size());
  if (netns.empty()) {
    if (auto opened = made->open_files(manage); !opened) return tl::unexpected(opened.error());
    return made;
  }
  const Fd file(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) {
    return fail_errno(
        fmt::format("server.namespaces: cannot open {} (create the namespace, or "
                    "correct \"netns\")",
                    netns));
  }
  made->device_ = status.st_dev;
  made->inode_ = status.st_ino;
  if (auto opened = made->open_inside(file, manage); !opened) {
    return tl::unexpected(std::move(opened.error()).in("server.namespaces: " + netns));
  }
  return made;
}

/// A thread of its own goes there; ours never leaves home.
Result<> NetworkNamespace::open_inside(const Fd& file, bool manage) {
  Result<> result;
  std::thread visitor([&] {
    if (setns(file.get(), CLONE_NEWNET) == 0) {
      result = open_files(manage);
      return;
    }
    const char* why = errno == EPERM ? " (CAP_SYS_ADMIN is needed, which tfod only has at start: "
                                       "restart it)"
                                     : " (is it a network namespace?)";
    result = fail_errno("cannot enter it" + std::string(why));
  });
  visitor.join();
  if (!result || !iterator_) return result;
  auto resident = Resident::enter(file.get());
  if (!resident) return tl::unexpected(resident.error());
  resident_ = std::move(*resident);
  return {};
}

Result<std::unique_ptr<KeySink>> NetworkNamespace::key_sink() const {
  auto fd = duplicate(key_);
  if (!fd) return tl::unexpected(fd.error());
  const std::string name = path_.empty() ? "own netns" : "netns " + label_;
  return std::make_unique<SysctlSink>(name, std::move(*fd));
}

Result<KernelMib> NetworkNamespace::kernel_counters() const { return read_netstat(netstat_.get()); }

std::optional<uint64_t> NetworkNamespace::resets_out() const {
  return snmp_ ? read_resets(snmp_.get()) : std::nullopt;
}

Result<unsigned> NetworkNamespace::fastopen_bits() const {
  auto bits = read_number(fastopen_);
  if (!bits) return tl::unexpected(std::move(bits.error()).in("tcp_fastopen of " + label_));
  return bits;
}

std::optional<unsigned> NetworkNamespace::synack_retries() const {
  if (!synack_retries_) return std::nullopt;
  const auto number = read_number(synack_retries_);
  return number ? std::optional(*number) : std::nullopt;
}

Result<std::vector<Key>> NetworkNamespace::keys() const {
  auto sink = key_sink();
  if (!sink) return tl::unexpected(sink.error());
  return (*sink)->held();
}

Result<> NetworkNamespace::set_keys(const std::vector<Key>& keys) const {
  auto sink = key_sink();
  if (!sink) return tl::unexpected(sink.error());
  KeyRing ring;
  for (const Key& key : keys) {
    const bool first = ring.generations.empty();
    ring.generations.push_back({.id = ring.generations.size() + 1,
                                .key = key,
                                .place = first ? TFO_PLACE_CURRENT : TFO_PLACE_PREVIOUS});
  }
  if (auto sound = ring.check(); !sound) return sound;
  return (*sink)->apply(ring);
}

Result<std::vector<Listener>> NetworkNamespace::iterate() const {
  if (!iterator_) return fail("BPF is not to be had (see the log of tfod's start)");
  if (!resident_) return iterator_->listeners();
  Result<std::vector<Listener>> all;
  resident_->run([&] { all = iterator_->listeners(); });
  return all;
}

ListenerReport NetworkNamespace::listeners() const {
  ListenerReport report;
  report.netns = label_;
  report.fastopen_bits = fastopen_bits().value_or(0);
  report.somaxconn = somaxconn_ ? read_number(somaxconn_).value_or(0) : 0;
  auto all = iterate();
  if (!all) {
    report.unseen = all.error().message;
    all = diag_ ? diag_->listeners() : fail("no sock_diag socket");
  }
  if (all) {
    report.listeners = std::move(*all);
  } else {
    report.error = all.error().message;
  }
  tidy(report);
  return report;
}

Result<> NetworkNamespace::set_fastopen_bits(unsigned bits) const {
  const std::string text = std::to_string(bits);
  if (pwrite(fastopen_.get(), text.data(), text.size(), 0) < 0) {
    return fail_errno("cannot write tcp_fastopen of " + label_);
  }
  return {};
}

bool NetworkNamespace::gone() {
  if (path_.empty() || gone_) return gone_;
  struct stat status{};
  if (stat(path_.c_str(), &status) == 0) {
    gone_ = status.st_dev != device_ || status.st_ino != inode_;
  } else {
    gone_ = errno == ENOENT;
  }
  if (gone_) {
    resident_.reset();
    diag_.reset();
    synack_retries_.reset();
    somaxconn_.reset();
    netstat_.reset();
    snmp_.reset();
    fastopen_.reset();
    key_.reset();
  }
  return gone_;
}

}  // namespace tfo
