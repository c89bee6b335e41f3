// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl detach` without a daemon says "nothing" only where it could have seen something.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "loader/dataplane/dataplane.h"
#include "tests/support/sandbox.h"
#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

using nlohmann::json;

class TfoctlDetach : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
  }

  Ran detach(const std::filesystem::path& bpffs, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--socket", (bpffs_.directory() / "none.sock").string(), "detach",
                               "--bpffs", bpffs.string()});
    return run_tfoctl(more);
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
};

void expect_failure(const Ran& ran, const std::vector<std::string>& parts) {
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out, "");
  for (const auto& part : parts) EXPECT_NE(ran.err.find(part), std::string::npos) << ran.err;
}

TEST_F(TfoctlDetach, FailsWhereThereIsNoBpfFileSystem) {
  std::filesystem::create_directory(bpffs_.directory() / "plain");
  for (const char* name : {"plain", "absent"}) {
    const auto path = bpffs_.directory() / name;
    expect_failure(
        detach(path),
        {"no BPF file system on " + path.string() + " here:", "ip netns exec", "nsenter --net="});
  }
}

TEST_F(TfoctlDetach, FailsWhereItMayNotLook) {
  const auto loop = bpffs_.directory() / "loop";
  std::filesystem::create_symlink(loop, loop);
  expect_failure(detach(loop), {"cannot look at " + loop.string(), "symbolic links"});
}

TEST_F(TfoctlDetach, NothingAnywhereIsNoFailure) {
  const Ran ran = detach(bpffs_.root());
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "nothing of instance 'default' was on the wire\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(json::parse(detach(bpffs_.root(), {"-j"}).out)["other_instances"], json::array());
}

TEST_F(TfoctlDetach, NamesTheInstancesThatArePinned) {
  ASSERT_TRUE(netns_.add_veth("one"));
  {
    auto edge = Dataplane::open({.pin_directory = bpffs_.pins("edge"),
                                 .vips = 1,
                                 .vip_rows = 1,
                                 .boot_offset_ns = {},
                                 .checkpoint = {}});
    ASSERT_TRUE(edge) << edge.error().message;
    ASSERT_TRUE(edge->set_interfaces({{.name = "one"}}));
    edge->keep();
  }
  const Ran ran = detach(bpffs_.root());
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("others are pinned: edge;"), std::string::npos) << ran.err;
  const Ran document = detach(bpffs_.root(), {"-j"});
  EXPECT_EQ(json::parse(document.out)["other_instances"], json{"edge"});
  const Ran right = detach(bpffs_.root(), {"--instance", "edge"});
  EXPECT_EQ(right.out, "detached from one\n") << right.err;
  EXPECT_TRUE(shell("! ip link show dev one | grep -q xdp"));
}

}  // namespace
}  // namespace tfo::test
