// SPDX-License-Identifier: BSD-2-Clause
// Whoever holds an XDP hook that we want is named, with a command that frees it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/wait.h>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/fd.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

class OccupiedHook : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
  }

  Result<Dataplane> open(const std::string& instance) {
    return Dataplane::open({.pin_directory = bpffs_.pins(instance),
                            .vips = 1,
                            .vip_rows = 1,
                            .boot_offset_ns = {},
                            .checkpoint = {}});
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
};

TEST_F(OccupiedHook, TheCommandThatFreesTheHookWorks) {
  ASSERT_TRUE(netns_.add_veth("one"));
  {
    auto other = open("other");
    ASSERT_OK(other);
    ASSERT_OK(other->set_interfaces({{.name = "one"}}));
    other->keep();
  }
  auto dataplane = open("test");
  ASSERT_OK(dataplane);
  expect_error(dataplane->set_interfaces({{.name = "one"}}),
               {"`tfoctl detach --instance other --bpffs " + bpffs_.root().string() + "`"});
  // Its pin hidden: the link itself is named.
  ASSERT_TRUE(shell("mount --bind " + bpffs_.directory().string() + "/bpf/tfoguard/test/links " +
                    bpffs_.pins("other").string() + "/links"));
  const auto hidden = dataplane->set_interfaces({{.name = "one"}});
  EXPECT_TRUE(shell("umount " + bpffs_.pins("other").string() + "/links"));
  expect_error(hidden, {"tfoguard's", "there are: other", "`bpftool link detach id "});
  ASSERT_OK(Dataplane::detach(bpffs_.pins("other")));
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
}

/// The last `command` between backquotes that begins with these words.
std::string command_in(const std::string& text, const std::string& words) {
  const size_t at = text.rfind('`' + words);
  if (at == std::string::npos) return "false";
  return text.substr(at + 1, text.find('`', at + 1) - at - 1);
}

/// A program that is not ours.
Fd load_stranger() {
  const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  return Fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", pass, 2, nullptr));
}

TEST_F(OccupiedHook, StrangersAreRemovedAsTheyAreHeld) {
  ASSERT_TRUE(netns_.add_veth("one"));
  const Fd fd = load_stranger();
  ASSERT_TRUE(fd);
  auto dataplane = open("test");
  ASSERT_OK(dataplane);
  const unsigned ifindex = if_nametoindex("one");
  for (const uint32_t flags : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(ifindex), fd.get(), flags, nullptr), 0);
    const auto refused = dataplane->set_interfaces({{.name = "one"}});
    expect_error(refused, {"(stranger)", "ip link set dev one"});
    EXPECT_TRUE(shell(command_in(refused.error().message, "ip link set")));
    ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
    ASSERT_OK(dataplane->set_interfaces({}));
  }
  LIBBPF_OPTS(bpf_link_create_opts, options);
  const Fd link(bpf_link_create(fd.get(), static_cast<int>(ifindex), BPF_XDP, &options));
  ASSERT_TRUE(link);
  const auto refused = dataplane->set_interfaces({{.name = "one"}});
  expect_error(refused, {"(stranger)", "bpftool link detach id "});
  EXPECT_TRUE(shell(command_in(refused.error().message, "bpftool link detach")));
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
}

/// The pins of our own still tell whose link it is; of a stranger's, nothing more can be seen.
Result<> occupied_with_three_capabilities(Dataplane& dataplane, int stranger) {
  capng_clear(CAPNG_SELECT_CAPS);
  capng_updatev(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_BPF,
                CAP_NET_ADMIN, CAP_PERFMON, -1);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return fail("cannot drop capabilities");
  const auto ours = dataplane.set_interfaces({{.name = "one"}});
  if (ours || ours.error().message.find("tfoctl detach --instance other") == std::string::npos) {
    return fail(ours ? "attached" : ours.error().message);
  }
  LIBBPF_OPTS(bpf_link_create_opts, options);
  const Fd link(
      bpf_link_create(stranger, static_cast<int>(if_nametoindex("two")), BPF_XDP, &options));
  const auto theirs = dataplane.set_interfaces({{.name = "two"}});
  if (theirs || theirs.error().message.find("if `bpftool link show` has") == std::string::npos) {
    return fail(theirs ? "attached" : theirs.error().message);
  }
  return {};
}

TEST_F(OccupiedHook, SaysWhoHoldsTheHookWithThreeCapabilities) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(netns_.add_veth("two"));
  const Fd stranger = load_stranger();
  ASSERT_TRUE(stranger);
  auto other = open("other");
  ASSERT_OK(other);
  ASSERT_OK(other->set_interfaces({{.name = "one"}}));
  const pid_t child = fork();
  if (child == 0) {
    auto dataplane = open("test");
    auto done = dataplane ? occupied_with_three_capabilities(*dataplane, stranger.get())
                          : Result<>(tl::unexpected(dataplane.error()));
    if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
    _exit(done ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  // It ended without its destructors.
  ASSERT_OK(Dataplane::detach(bpffs_.pins()));
}

}  // namespace
}  // namespace tfo::test
