// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/sysctl_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

/// More than the kernel ever prints: two keys, a comma, a newline.
constexpr size_t kReadSize = 256;

Result<Fd> open_sysctl(const std::string& sysctl) {
  Fd file(::open(sysctl.c_str(), O_RDWR | O_CLOEXEC));
  if (file) {
    return file;
  }
  const int error = errno;
  std::string what = "cannot open " + sysctl + " for writing";
  if (error == EACCES || error == EPERM) {
    what += " (CAP_NET_ADMIN in that namespace is needed)";
  } else if (error == EROFS) {
    what += " (/proc/sys is read-only here, as in most containers)";
  } else if (error == ENOENT) {
    what += " (this kernel has no TCP Fast Open, or /proc is not mounted)";
  }
  return fail_errno(what, error);
}

/// /proc/sys/net shows the namespace of the thread that opens it, so a thread of its own enters the
/// namespace, opens, and ends; ours never leaves home.
Result<Fd> open_in_namespace(const std::string& path, const std::string& sysctl) {
  const Fd netns(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) {
    return fail_errno("cannot open " + path +
                      "; create the namespace, or correct \"netns\" in server.namespaces");
  }
  Result<Fd> result = fail("");
  std::thread visitor([&] {
    if (setns(netns.get(), CLONE_NEWNET) != 0) {
      result = fail_errno("cannot enter " + path +
                          " (CAP_SYS_ADMIN is needed at start, and a network namespace)");
      return;
    }
    result = open_sysctl(sysctl);
  });
  visitor.join();
  return result;
}

std::string namespace_path(const std::string& netns) {
  return netns.find('/') == std::string::npos ? "/run/netns/" + netns : netns;
}

std::string fingerprints(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys) {
    text += (text.empty() ? "" : ",") + key.fingerprint();
  }
  return text.empty() ? "no key" : text;
}

std::vector<Key> wanted_keys(const KeyRing& ring) {
  std::vector<Key> keys;
  if (const Generation* primary = ring.current()) {
    keys.push_back(primary->key);
    if (const Generation* backup = ring.backup()) {
      keys.push_back(backup->key);
    }
  }
  return keys;
}

}  // namespace

Result<std::unique_ptr<SysctlSink>> SysctlSink::open(const std::string& netns,
                                                     const std::string& sysctl) {
  const std::string path = namespace_path(netns);
  const std::string name =
      netns.empty() ? "own netns" : "netns " + std::filesystem::path(path).filename().string();
  auto file = netns.empty() ? open_sysctl(sysctl) : open_in_namespace(path, sysctl);
  if (!file) {
    return tl::unexpected(std::move(file.error()).in(name));
  }
  return std::make_unique<SysctlSink>(name, std::move(*file));
}

Result<> SysctlSink::apply(const KeyRing& ring) {
  const Secret value = ring.sysctl_value();
  if (value.view().empty()) {
    return fail(name_ + ": there is no current key to write");
  }
  const ssize_t written = pwrite(fd_.get(), value.view().data(), value.view().size(), 0);
  if (written < 0) {
    const int error = errno;
    gone_ = error == ENOENT;
    return fail_errno(name_ + ": cannot write tcp_fastopen_key", error);
  }
  return verify(ring);
}

Result<> SysctlSink::verify(const KeyRing& ring) {
  auto now = held();
  if (!now) {
    return tl::unexpected(std::move(now.error()));
  }
  const std::vector<Key> wanted = wanted_keys(ring);
  if (*now != wanted) {
    return fail(fmt::format(
        "{}: tcp_fastopen_key holds {} instead of {} (is another program or sysctl.d setting it?)",
        name_, fingerprints(*now), fingerprints(wanted)));
  }
  return {};
}

Result<std::vector<Key>> SysctlSink::held() {
  Secret text;
  text.buffer().resize(kReadSize);
  const ssize_t got = pread(fd_.get(), text.buffer().data(), kReadSize, 0);
  if (got < 0) {
    const int error = errno;
    gone_ = error == ENOENT;
    return fail_errno(name_ + ": cannot read tcp_fastopen_key", error);
  }
  std::string_view shown = text.view().substr(0, static_cast<size_t>(got));
  while (!shown.empty() && shown.back() == '\n') {
    shown.remove_suffix(1);
  }
  auto keys = Key::parse_list(shown);
  if (!keys) {
    return tl::unexpected(std::move(keys.error()).in(name_ + ": tcp_fastopen_key"));
  }
  if (keys->size() == 1 && keys->front().is_zero()) {
    keys->clear();
  }
  return keys;
}

}  // namespace tfo
