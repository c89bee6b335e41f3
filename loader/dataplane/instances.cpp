// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/instances.h"

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdint>

#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> no_bpffs(const fs::path& root) {
  return fail("no BPF file system on " + root.string() +
              " here: what is attached cannot be seen; name its place with --bpffs; " +
              kOwnMountNamespace + ", use nsenter --net=/run/netns/NAME instead");
}

bool sits_on(const fs::path& pin, unsigned ifindex, uint32_t program_id) {
  const Fd fd(bpf_obj_get(pin.c_str()));
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  return fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 &&
         info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
         info.prog_id == program_id;
}

bool has_content(const fs::path& instance) {
  std::error_code error;
  for (const char* part : {"maps", "maps_new", "maps_old"}) {
    if (fs::exists(instance / part, error)) return true;
  }
  for (const char* part : {"links", "egress"}) {
    const fs::directory_iterator pins(instance / part, error);
    if (!error && pins != fs::directory_iterator()) return true;
  }
  return false;
}

}  // namespace

Result<bool> has_pins(const fs::path& pin_directory) {
  const fs::path root = pin_directory.parent_path().parent_path();
  for (const auto& path : {pin_directory, pin_directory.parent_path(), root}) {
    struct statfs info{};
    if (statfs(path.c_str(), &info) == 0) {
      if (info.f_type != BPF_FS_MAGIC) return no_bpffs(root);
      return path == pin_directory;
    }
    if (errno != ENOENT) return fail_errno("cannot look at " + path.string());
  }
  return no_bpffs(root);
}

Result<std::vector<std::string>> pinned_instances(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (has_content(entry->path())) names.push_back(entry->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail("cannot read " + directory.string() + ": " + error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> instance_on(const fs::path& directory, unsigned ifindex,
                                       uint32_t program_id) {
  const auto names = pinned_instances(directory);
  if (!names) return std::nullopt;
  for (const std::string& name : *names) {
    std::error_code error;
    for (fs::directory_iterator link(directory / name / "links", error), end; !error && link != end;
         link.increment(error)) {
      if (sits_on(link->path(), ifindex, program_id)) return name;
    }
  }
  return std::nullopt;
}

}  // namespace tfo
