// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/pins.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdio>

#include "loader/dataplane/instances.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;

Result<> rename_pin(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    return fail_errno("cannot rename " + from.string() + " to " + to.filename().string());
  }
  return {};
}

Result<> remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail("cannot remove " + path.string() + ": " + error.message());
  return {};
}

Result<> make_directory(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno("cannot create " + path.string());
  }
  return {};
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

/// `<bpffs>/tfoguard/<instance>`: the file system must be there, the two directories are ours.
Result<> check_bpffs(const fs::path& path) {
  fs::path present = path;
  while (!is_there(present) && present.has_relative_path()) present = present.parent_path();
  struct statfs info{};
  if (statfs(present.c_str(), &info) != 0) return fail_errno("cannot look at " + present.string());
  if (info.f_type == BPF_FS_MAGIC) return {};
  const std::string root = path.parent_path().parent_path().string();
  return fail("no BPF file system is mounted at " + root + ": `mount -t bpf bpf " + root +
              "`, or set \"bpffs\" to where it is; but " + kOwnMountNamespace +
              ", and one mounted there dies with the namespace and takes the program off the wire: "
              "enter with `nsenter --net=/run/netns/NAME` instead");
}

tl::unexpected<Error> held(const fs::path& path) {
  return fail("another tfod holds " + path.string() +
              ": stop it, or give this one another \"instance\"");
}

Result<Fd> lock_directory(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open " + path.string());
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("cannot lock " + path.string());
    return held(path);
  }
  // Whoever held it may just have removed it.
  struct stat locked{};
  struct stat named{};
  if (fstat(fd.get(), &locked) != 0 || stat(path.c_str(), &named) != 0 ||
      locked.st_ino != named.st_ino) {
    return held(path);
  }
  return fd;
}

/// Any byte but '%' and '.' stands for itself.
std::string escape(const std::string& name) {
  std::string result;
  for (const char c : name) {
    if (c == '.') {
      result += "%2e";
    } else if (c == '%') {
      result += "%25";
    } else {
      result += c;
    }
  }
  return result;
}

std::string unescape(const std::string& pin) {
  std::string result;
  for (size_t i = 0; i < pin.size(); ++i) {
    const bool escaped = pin[i] == '%' && i + 2 < pin.size();
    result += !escaped ? pin[i] : pin[i + 2] == 'e' ? '.' : '%';
    if (escaped) i += 2;
  }
  return result;
}

/// Interfaces that have a pin in this directory.
std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    names.push_back(unescape(entry.path().filename().string()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

PinDirectory::PinDirectory(fs::path path, Fd lock, Checkpoint checkpoint)
    : path_(std::move(path)), lock_(std::move(lock)), checkpoint_(std::move(checkpoint)) {}

Result<PinDirectory> PinDirectory::open(const fs::path& path, Checkpoint checkpoint) {
  auto done = check_bpffs(path);
  if (done) done = make_directory(path.parent_path());
  if (done) done = make_directory(path);
  if (!done) return tl::unexpected(done.error());
  auto lock = lock_directory(path);
  if (!lock) return tl::unexpected(std::move(lock).error());
  for (const char* part : {"links", "egress"}) {
    if (done) done = make_directory(path / part);
  }
  if (!done) return tl::unexpected(done.error());
  return PinDirectory(path, std::move(*lock), std::move(checkpoint));
}

fs::path PinDirectory::link(const std::string& interface) const {
  return path_ / "links" / escape(interface);
}

bool PinDirectory::has_maps() const { return is_there(maps()); }

bool PinDirectory::has_maps_new() const { return is_there(maps_new()); }

std::vector<std::string> PinDirectory::links() const { return names_in(path_ / "links"); }

fs::path PinDirectory::egress(const std::string& interface) const {
  return path_ / "egress" / escape(interface);
}

std::vector<std::string> PinDirectory::egresses() const { return names_in(path_ / "egress"); }

Result<> PinDirectory::recover() const {
  if (has_maps()) {
    // Its totals were carried, or it could not have been renamed.
    return is_there(maps_old()) ? remove_tree(maps_old()) : Result<>{};
  }
  // A first start that died before its rename: nothing can be attached to that set.
  if (!is_there(maps_old())) return has_maps_new() ? remove_tree(maps_new()) : Result<>{};
  return finish_commit();
}

Result<> PinDirectory::begin() const {
  auto done = abandon();
  if (done) done = make_directory(maps_new());
  return done;
}

Result<> PinDirectory::set_aside() const {
  int number = 0;
  while (is_there(maps() / ("carry_" + std::to_string(number)))) ++number;
  return rename_pin(maps_new(), maps() / ("carry_" + std::to_string(number)));
}

Result<> PinDirectory::abandon() const { return remove_tree(maps_new()); }

Result<> PinDirectory::commit() const {
  if (!has_maps_new()) return fail("no set of maps is ready in " + maps_new().string());
  if (has_maps()) {
    auto done = rename_pin(maps(), maps_old());
    if (!done) return done;
    step("old_renamed");
  }
  return finish_commit();
}

Result<> PinDirectory::finish_commit() const {
  auto done = rename_pin(maps_new(), maps());
  if (!done) return done;
  step("new_renamed");
  done = remove_tree(maps_old());
  step("old_removed");
  return done;
}

std::vector<fs::path> PinDirectory::owed() const {
  std::vector<fs::path> sets{maps()};
  for (int number = 0; is_there(maps() / ("carry_" + std::to_string(number))); ++number) {
    sets.push_back(maps() / ("carry_" + std::to_string(number)));
  }
  return sets;
}

Result<> PinDirectory::remove_all() const {
  auto done = remove_tree(path_ / "links");
  if (done) done = remove_tree(path_ / "egress");
  if (done) done = remove_tree(path_);
  return done;
}

}  // namespace tfo
