// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/egress_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include "loader/dataplane/device.h"
#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

// include/uapi/linux/bpf.h of Linux 6.6; older headers lack them.
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr uint32_t kTcxLink = 11;

// Ours among the filters of a device: nobody else's by habit.
constexpr uint32_t kPriority = 0xf034;
constexpr uint32_t kHandle = 1;

/// What is pinned: its first words are the same for links and programs.
struct Pinned {
  Fd fd;
  bool link = false;
  uint32_t id = 0;       // of the program, where it is one
  uint32_t ifindex = 0;  // of the link
};

/// struct bpf_link_info of a tcx link, struct bpf_prog_info's beginning.
struct PinnedInfo {
  uint32_t type;
  uint32_t id;
  uint32_t program;
  uint32_t pad;
  uint32_t ifindex;
  uint32_t attach_type;
  uint32_t rest[10];
};

Pinned open_pin(const std::string& path) {
  Pinned pinned{.fd = Fd(bpf_obj_get(path.c_str()))};
  PinnedInfo info{};
  uint32_t size = sizeof(info);
  if (!pinned.fd || bpf_obj_get_info_by_fd(pinned.fd.get(), &info, &size) != 0) return pinned;
  pinned.link = info.type == kTcxLink;
  pinned.id = info.id;
  if (pinned.link) pinned.ifindex = info.ifindex;
  return pinned;
}

bpf_tc_hook hook_of(unsigned ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_EGRESS;
  return hook;
}

/// The program of our filter, or 0.
uint32_t filter_program(unsigned ifindex) {
  const bpf_tc_hook hook = hook_of(ifindex);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

Result<> pin(int fd, const std::string& path) {
  unlink(path.c_str());
  if (bpf_obj_pin(fd, path.c_str()) != 0) return fail_errno("cannot pin " + path);
  return {};
}

}  // namespace

Result<bool> attach_egress_link(const PinDirectory& pins, const std::string& interface,
                                unsigned ifindex, int program_fd) {
  const std::string path = pins.egress(interface);
  const Pinned old = open_pin(path);
  if (old.link && old.ifindex == ifindex &&
      bpf_link_update(old.fd.get(), program_fd, nullptr) == 0) {
    return true;
  }
  const Fd link(bpf_link_create(program_fd, static_cast<int>(ifindex), kTcxEgress, nullptr));
  if (!link && errno == EINVAL) return false;
  if (!link) return fail_errno("cannot attach to what leaves interface " + interface);
  if (auto pinned = pin(link.get(), path); !pinned) return tl::unexpected(pinned.error());
  return true;
}

Result<> attach_egress_filter(const PinDirectory& pins, const std::string& interface,
                              unsigned ifindex, int program_fd) {
  bpf_tc_hook hook = hook_of(ifindex);
  // Somebody else's qdisc serves as well, and is never removed: others may use it by now.
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) {
    return fail_errno("cannot make the clsact qdisc of interface " + interface, made);
  }
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE,
              .handle = kHandle, .priority = kPriority);
  const int error = bpf_tc_attach(&hook, &options);
  if (error != 0) {
    return fail_errno("cannot attach a filter to what leaves interface " + interface, error);
  }
  return pin(program_fd, pins.egress(interface));
}

Result<> attach_egress(const PinDirectory& pins, const std::string& interface, unsigned ifindex,
                       int program_fd) {
  auto linked = attach_egress_link(pins, interface, ifindex, program_fd);
  if (!linked) return tl::unexpected(linked.error());
  if (*linked) return {};
  return attach_egress_filter(pins, interface, ifindex, program_fd);
}

bool is_egress_attached(const PinDirectory& pins, const std::string& interface, unsigned ifindex) {
  const Pinned pinned = open_pin(pins.egress(interface));
  if (!pinned.fd) return false;
  return pinned.link ? pinned.ifindex == ifindex
                     : pinned.id != 0 && filter_program(ifindex) == pinned.id;
}

void remove_egress(const PinDirectory& pins, const std::string& interface) {
  const std::string path = pins.egress(interface);
  const Pinned pinned = open_pin(path);
  const unsigned ifindex = device_index(interface);
  if (pinned.link) {
    bpf_link_detach(pinned.fd.get());
  } else if (pinned.fd && ifindex != 0 && filter_program(ifindex) == pinned.id) {
    const bpf_tc_hook hook = hook_of(ifindex);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
    bpf_tc_detach(&hook, &options);
  }
  unlink(path.c_str());
}

}  // namespace tfo
