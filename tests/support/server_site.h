// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/netns.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {

/// A TfodSite whose tfod serves one named network namespace.
class ServerSite : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    boot();
    site_.config["server"] = {{"namespaces", {{{"pool", "web"}, {"netns", name()}}}}};
  }

  /// A fresh namespace of the same name: what the kernel of a rebooted host looks like.
  void boot() {
    server_.reset();
    auto made = NetNs::create("tfosrv");
    ASSERT_TRUE(made) << made.error().message;
    server_.emplace(std::move(*made));
    ASSERT_TRUE(server_->ip("link set lo up"));
  }

  std::string name() const { return server_->name(); }

  /// A file below /proc/sys/net/ipv4 of the namespace, without its newline.
  std::string sysctl(const std::string& file) const {
    const NetNs::Inside inside(*server_);
    std::string text = slurp("/proc/sys/net/ipv4/" + file);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  void set(const std::string& file, const std::string& value) const {
    const auto done = server_->sysctl("ipv4/" + file, value);
    EXPECT_TRUE(done) << done.error().message;
  }

  TfodSite site_;
  std::optional<NetNs> server_;
};

}  // namespace tfo::test
