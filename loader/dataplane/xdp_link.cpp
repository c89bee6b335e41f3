// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/xdp_link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <cstring>

#include "loader/dataplane/occupant.h"

namespace tfo {
namespace {

Fd create_link(int program_fd, unsigned ifindex, uint32_t flags) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = flags;
  return Fd(bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP, &options));
}

bool is_occupied(int error) { return error == EBUSY || error == EEXIST; }

std::string why_refused(const Device& device, int error) {
  switch (error) {
    case EOPNOTSUPP:
      return "its driver has no native XDP";
    case ERANGE:
    case EINVAL:
      return "its driver refuses native XDP with the present settings (" +
             std::string(std::strerror(error)) + "; MTU is " + std::to_string(device.mtu) +
             ", look at `dmesg`, MTU, LRO and the number of queues)";
    default:
      return std::strerror(error);
  }
}

tl::unexpected<Error> refused(const Device& device, AttachMode mode, int error,
                              const std::filesystem::path& instances) {
  if (is_occupied(error)) return fail(occupied_text(device, instances));
  if (error == EPERM) {
    return fail("not allowed to attach XDP to interface " + device.name +
                ": run as root or grant CAP_NET_ADMIN and CAP_BPF");
  }
  const std::string where = "cannot attach to interface " + device.name;
  if (mode == AttachMode::kNative) {
    return fail(where + " natively: " + why_refused(device, error) +
                "; \"mode\": \"auto\" or \"generic\" would do with the slower generic XDP");
  }
  return fail_errno(where, error);
}

}  // namespace

Result<XdpLink> XdpLink::attach(int program_fd, const Device& device, AttachMode mode,
                                const std::filesystem::path& instances, std::string& note) {
  int error = EOPNOTSUPP;
  if (mode != AttachMode::kGeneric) {
    Fd native = create_link(program_fd, device.ifindex, XDP_FLAGS_DRV_MODE);
    if (native) return XdpLink(std::move(native));
    error = errno;
    if (mode == AttachMode::kNative || is_occupied(error) || error == EPERM || error == ENODEV) {
      return refused(device, mode, error, instances);
    }
    note = "generic XDP, slower: " + why_refused(device, error);
  }
  Fd generic = create_link(program_fd, device.ifindex, XDP_FLAGS_SKB_MODE);
  if (!generic) return refused(device, AttachMode::kGeneric, errno, instances);
  if (mode == AttachMode::kGeneric) note = "generic XDP, as configured";
  return XdpLink(std::move(generic));
}

Result<XdpLink> XdpLink::open_pin(const std::filesystem::path& path) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd) return fail_errno("cannot open the pinned link " + path.string());
  return XdpLink(std::move(fd));
}

Result<> XdpLink::pin(const std::filesystem::path& path) const {
  if (bpf_obj_pin(fd_.get(), path.c_str()) != 0) return fail_errno("cannot pin " + path.string());
  return {};
}

Result<bool> XdpLink::update(int program_fd) const {
  if (bpf_link_update(fd_.get(), program_fd, nullptr) == 0) return true;
  if (errno == ENOLINK) return false;
  return fail_errno("cannot replace the program");
}

unsigned XdpLink::ifindex() const {
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd_.get(), &info, &size) != 0) return 0;
  return info.type == BPF_LINK_TYPE_XDP ? info.xdp.ifindex : 0;
}

bool XdpLink::serves(unsigned ifindex) const {
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd_.get(), &info, &size) != 0) return false;
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  return info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
         bpf_xdp_query(static_cast<int>(ifindex), 0, &query) == 0 && query.prog_id == info.prog_id;
}

void XdpLink::detach() const { bpf_link_detach(fd_.get()); }

bool is_generic(unsigned ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  return bpf_xdp_query(static_cast<int>(ifindex), 0, &query) == 0 &&
         query.attach_mode == XDP_ATTACHED_SKB;
}

}  // namespace tfo
