// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/occupant.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <cerrno>

#include "loader/dataplane/fd.h"
#include "loader/dataplane/instances.h"

namespace tfo {
namespace {

struct Occupant {
  uint32_t id = 0;   // 0: not on this device itself
  std::string name;  // empty: unknown
  std::string mode;  // the word that `ip link set dev IF ... off` wants
};

Occupant find_occupant(unsigned ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (bpf_xdp_query(static_cast<int>(ifindex), 0, &query) != 0) return {};
  // Plain "xdp off" means native on a driver that has it, whatever is attached (dev_xdp_mode()).
  Occupant found;
  if (query.drv_prog_id != 0) {
    found = {query.drv_prog_id, "", "xdpdrv"};
  } else if (query.skb_prog_id != 0) {
    found = {query.skb_prog_id, "", "xdpgeneric"};
  } else if (query.hw_prog_id != 0) {
    found = {query.hw_prog_id, "", "xdpoffload"};
  } else if (query.prog_id != 0) {
    const bool generic = query.attach_mode == XDP_ATTACHED_SKB;
    const bool offload = query.attach_mode == XDP_ATTACHED_HW;
    found = {query.prog_id, "", generic ? "xdpgeneric" : offload ? "xdpoffload" : "xdpdrv"};
  }
  const Fd fd(found.id != 0 ? bpf_prog_get_fd_by_id(found.id) : -1);
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0) found.name = info.name;
  return found;
}

enum class Held { kByLink, kByNetlink, kUnknown };

/// Is the program held by a bpf_link, and by which?
Held find_link(unsigned ifindex, uint32_t program_id, uint32_t& link_id) {
  uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) {
    const Fd fd(bpf_link_get_fd_by_id(id));
    if (!fd && errno == ENOENT) continue;  // it has just gone
    if (!fd) return Held::kUnknown;
    bpf_link_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) continue;
    if (info.type != BPF_LINK_TYPE_XDP || info.xdp.ifindex != ifindex) continue;
    if (info.prog_id != program_id) continue;
    link_id = id;
    return Held::kByLink;
  }
  return errno == ENOENT ? Held::kByNetlink : Held::kUnknown;
}

std::string remove_any(const Device& device, const Occupant& occupant) {
  const std::string off = "`ip link set dev " + device.name + " " + occupant.mode + " off`";
  const std::string program = std::to_string(occupant.id);
  uint32_t link_id = 0;
  switch (find_link(device.ifindex, occupant.id, link_id)) {
    case Held::kByLink:
      return "`bpftool link detach id " + std::to_string(link_id) + "` removes it";
    case Held::kByNetlink:
      return off + " removes it";
    case Held::kUnknown:
      break;
  }
  return "if `bpftool link show` has a link of type xdp with prog " + program +
         ", `bpftool link detach id N` with the link's number removes it, else " + off;
}

std::string remove_ours(const Device& device, const Occupant& occupant,
                        const std::filesystem::path& instances) {
  std::string text = "it is tfoguard's, but no instance in " + instances.string() + " pins it";
  const auto names = pinned_instances(instances);
  if (names && !names->empty()) {
    text += " (there are:";
    for (const std::string& name : *names) text += " " + name;
    text += ")";
  }
  return text + ": `tfoctl detach --instance NAME` where its BPF file system is mounted, or " +
         remove_any(device, occupant);
}

std::string remedy(const Device& device, const Occupant& occupant,
                   const std::filesystem::path& instances) {
  if (const auto name = instance_on(instances, device.ifindex, occupant.id)) {
    std::string command = "tfoctl detach --instance " + *name;
    const std::string bpffs = instances.parent_path().string();
    if (bpffs != "/sys/fs/bpf") command += " --bpffs " + bpffs;
    return "it is tfoguard's, `" + command + "` removes it";
  }
  if (occupant.name == "tfo_xdp") return remove_ours(device, occupant, instances);
  return remove_any(device, occupant);
}

}  // namespace

std::string occupied_text(const Device& device, const std::filesystem::path& instances) {
  const Occupant occupant = find_occupant(device.ifindex);
  if (occupant.id == 0) {
    return "interface " + device.name +
           " cannot carry an XDP program now: a device above it, such as a bond, may have one "
           "(`ip -d link show`): attach there, or take the interface out of the configuration";
  }
  const std::string name = occupant.name.empty() ? "" : " (" + occupant.name + ")";
  return "interface " + device.name + " already carries XDP program " +
         std::to_string(occupant.id) + name + ": " + remedy(device, occupant, instances) +
         "; or take the interface out of the configuration";
}

}  // namespace tfo
