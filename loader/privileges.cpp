// SPDX-License-Identifier: BSD-2-Clause
#include "loader/privileges.h"

#include <cap-ng.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>

#include "loader/log.h"

namespace tfo {
namespace {

constexpr unsigned kKept[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};

void need(unsigned capability, const char* purpose, std::string& missing) {
  if (capng_have_capability(CAPNG_EFFECTIVE, capability)) return;
  std::string name = capng_capability_to_name(capability);
  std::transform(name.begin(), name.end(), name.begin(), ::toupper);
  missing += fmt::format("{}CAP_{} ({})", missing.empty() ? "" : ", ", name, purpose);
}

}  // namespace

Result<> harden_process() {
  umask(077);
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&blocked, number);
  if (sigprocmask(SIG_BLOCK, &blocked, nullptr) != 0) return fail_errno("cannot block signals");
  return {};
}

Result<> check_capabilities(const Config& config) {
  if (capng_get_caps_process() != 0) return fail_errno("cannot read the process's capabilities");
  std::string missing;
  if (!config.interfaces.empty()) {
    need(CAP_BPF, "to load the XDP program", missing);
    need(CAP_NET_ADMIN, "to attach it to an interface", missing);
    need(CAP_PERFMON, "for the verifier to accept it", missing);
  } else if (config.server && config.server->manage_sysctl) {
    need(CAP_NET_ADMIN, "to write tcp_fastopen_key", missing);
  }
  const bool others = config.server && std::any_of(config.server->namespaces.begin(),
                                                   config.server->namespaces.end(),
                                                   [](const auto& n) { return !n.netns.empty(); });
  if (others) need(CAP_SYS_ADMIN, "at start only, to enter server.namespaces", missing);
  if (missing.empty()) return {};
  return fail("missing capability " + missing +
              "; start tfod as root, or give its unit these in AmbientCapabilities= and "
              "CapabilityBoundingSet=");
}

Result<> drop_privileges() {
  if (capng_get_caps_process() != 0) return fail_errno("cannot read the process's capabilities");
  const bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  std::vector<unsigned> kept;
  for (const unsigned capability : kKept) {
    if (capng_have_capability(CAPNG_EFFECTIVE, capability)) kept.push_back(capability);
  }
  capng_clear(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
  for (const unsigned capability : kept) {
    capng_update(CAPNG_ADD,
                 static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED |
                                           (may_bound ? CAPNG_BOUNDING_SET : 0)),
                 capability);
  }
  const int error = capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
  if (error != 0) return fail(fmt::format("cannot drop capabilities (libcap-ng says {})", error));
  if (!may_bound) log_debug("the bounding set stays as it was given: no CAP_SETPCAP");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("no_new_privs");
  return {};
}

}  // namespace tfo
