// SPDX-License-Identifier: BSD-2-Clause
// What tfod refuses at start-up: each time a clear message and exit code 2, and nothing is left
// attached, pinned or changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <regex>

#include "loader/keys/key.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kServerKey[] = "/proc/sys/net/ipv4/tcp_fastopen_key";

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    std::ofstream(kServerKey) << "00000001-00000002-00000003-00000004";
    server_key_ = slurp(kServerKey);
    site_.config["server"] = {{"namespaces", {{{"pool", "web"}}}}};
  }

  /// Runs tfod to its end and returns its messages.
  std::string refused(const std::vector<std::string>& wrapper = {}) {
    const unsigned before = xdp_program_id("t0");
    const bool had_keys = exists(site_.path("state/web.keys"));
    TfodProcess tfod(site_.write(), site_.path("log"), wrapper);
    EXPECT_EQ(tfod.wait(), 2) << tfod.log();
    EXPECT_EQ(xdp_program_id("t0"), before);
    EXPECT_FALSE(exists(site_.bpffs().pins() / "maps"));
    EXPECT_FALSE(exists(site_.bpffs().pins() / "maps.new"));
    EXPECT_FALSE(exists(site_.bpffs().pins() / "links" / "t0"));
    EXPECT_FALSE(exists(site_.path("run/tfod.sock")));
    EXPECT_EQ(exists(site_.path("state/web.keys")), had_keys) << "made and left, or removed";
    EXPECT_EQ(slurp(kServerKey), server_key_);
    return tfod.log();
  }

  /// A key file as tfod itself makes it.
  std::filesystem::path key_file() {
    TfodProcess tfod(site_.write(), site_.path("log"));
    EXPECT_TRUE(tfod.ready()) << tfod.log();
    EXPECT_EQ(site_.ask({{"command", "detach"}})["ok"], true);
    EXPECT_EQ(tfod.wait(), 0) << tfod.log();
    server_key_ = slurp(kServerKey);
    return site_.path("state/web.keys");
  }

  /// refused() with the key file changed by `change`, which must survive as it is.
  std::string refused_key_file(const std::function<std::string(const std::string&)>& change) {
    const auto file = key_file();
    const std::string bad = change(slurp(file));
    EXPECT_NE(bad, slurp(file));
    std::ofstream(file, std::ios::binary) << bad;
    const std::string log = refused();
    EXPECT_EQ(slurp(file), bad);
    EXPECT_THAT(log, HasSubstr(file.string()));
    return log;
  }

  static std::string with_key(const std::string& text, const std::string& key) {
    static const std::regex kKey("[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}");
    return std::regex_replace(text, kKey, key, std::regex_constants::format_first_only);
  }

  TfodSite site_;
  std::string server_key_;
};

TEST_F(BadInput, AKeyFileThatOthersMayRead) {
  const auto file = key_file();
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  const std::string before = slurp(file);
  const std::string log = refused();
  EXPECT_THAT(log, HasSubstr(file.string()));
  EXPECT_THAT(log, HasSubstr("chmod"));
  EXPECT_EQ(slurp(file), before);
}

TEST_F(BadInput, AKeyFileThatWeMayNotRead) {
  const auto file = key_file();
  ASSERT_EQ(chown(file.c_str(), 65534, 65534), 0);
  const std::string log =
      refused({"setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"});
  EXPECT_THAT(log, HasSubstr(file.string()));
}

TEST_F(BadInput, ATruncatedKeyFile) {
  refused_key_file([](const std::string& text) { return text.substr(0, text.size() / 2); });
}

TEST_F(BadInput, AnEmptyKeyFile) {
  refused_key_file([](const std::string&) { return std::string(); });
}

TEST_F(BadInput, AnAllZeroKey) {
  const std::string log = refused_key_file([](const std::string& text) {
    static const std::regex kFingerprint("(\"fingerprint\": *)\"[0-9a-f]{8}\"");
    const std::string made = with_key(text, "00000000-00000000-00000000-00000000");
    return std::regex_replace(made, kFingerprint, "$1\"" + Key().fingerprint() + "\"",
                              std::regex_constants::format_first_only);
  });
  EXPECT_THAT(log, HasSubstr("zero"));
}

TEST_F(BadInput, AShortKeyTextIsNotRepeated) {
  const std::string log = refused_key_file(
      [](const std::string& text) { return with_key(text, "5ec2e700-5ec2e701-5ec2e702-5ec2e70"); });
  EXPECT_THAT(log, Not(HasSubstr("5ec2e70")));
}

TEST_F(BadInput, DuplicateVips) {
  site_.config["vips"].push_back(site_.config["vips"][0]);
  const std::string log = refused();
  EXPECT_THAT(log, HasSubstr("vips[1].name: VIP name web is already used by vips[0].name"));
  EXPECT_THAT(log, HasSubstr("vips[1]: 192.0.2.10 port 80 is already in VIP \"web\""));
}

TEST_F(BadInput, AConfigurationThatIsNotThere) {
  TfodProcess tfod(site_.path("none.json"), site_.path("log"));
  EXPECT_EQ(tfod.wait(), 2);
  EXPECT_THAT(tfod.log(), HasSubstr("none.json: No such file or directory"));
}

TEST_F(BadInput, KeysThatWereThereBeforeAFailedStartStay) {
  const std::string keys = slurp(key_file());
  site_.config["interfaces"].push_back({{"name", "nonet9"}});
  refused();
  EXPECT_EQ(slurp(site_.path("state/web.keys")), keys);
}

TEST_F(BadInput, NewKeysStayIfMapsThatStayMayHoldThem) {
  {
    TfodProcess tfod(site_.write(), site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
    tfod.signal(SIGTERM);
    ASSERT_EQ(tfod.wait(), 0) << tfod.log();
  }
  ASSERT_TRUE(std::filesystem::remove(site_.path("state/web.keys")));
  site_.config["interfaces"].push_back({{"name", "nonet9"}});
  TfodProcess tfod(site_.write(), site_.path("log"));
  EXPECT_EQ(tfod.wait(), 2) << tfod.log();
  EXPECT_TRUE(exists(site_.path("state/web.keys")));
}

TEST_F(BadInput, OneKeyFileOfTwoThatCannotBeOpened) {
  site_.config["pools"]["x"] = {{"file", "/nonexistent/a/x.keys"}};
  EXPECT_THAT(refused(), HasSubstr("/nonexistent/a"));
}

TEST_F(BadInput, WrongUsageNamesTheProgram) {
  const auto log = site_.path("log");
  EXPECT_FALSE(shell(TFO_BIN_DIR "/tfod --bogus 2> " + log.string()));
  EXPECT_EQ(slurp(log),
            "tfod: The following argument was not expected: --bogus; see `tfod --help`\n");
  ASSERT_TRUE(shell(TFO_BIN_DIR "/tfod --help > " + log.string()));
  EXPECT_THAT(slurp(log), HasSubstr("Usage: tfod [OPTIONS]"));
  EXPECT_THAT(slurp(log), HasSubstr("Examples:"));
  EXPECT_THAT(slurp(log), HasSubstr("Exit codes: 0"));
}

TEST_F(BadInput, AnInterfaceThatDoesNotExist) {
  site_.config["interfaces"].push_back({{"name", "nonet9"}});
  EXPECT_THAT(refused(), HasSubstr("nonet9"));
}

TEST_F(BadInput, NoBpffs) {
  std::filesystem::create_directory(site_.path("plain"));
  site_.config["bpffs"] = site_.path("plain");
  const std::string log = refused();
  EXPECT_THAT(log, HasSubstr("mount -t bpf"));
  EXPECT_THAT(log, HasSubstr(site_.path("plain").string()));
  EXPECT_TRUE(std::filesystem::is_empty(site_.path("plain")));
}

TEST_F(BadInput, AMissingCapability) {
  const std::string log = refused({"setpriv", "--bounding-set=-bpf,-perfmon", "--"});
  EXPECT_THAT(log, HasSubstr("missing capability CAP_BPF"));
  EXPECT_THAT(log, HasSubstr("CAP_PERFMON"));
}

TEST_F(BadInput, SomeoneElsesProgramOnTheInterface) {
  const unsigned id = attach_foreign_program("t0");
  ASSERT_NE(id, 0u);
  const std::string log = refused();
  EXPECT_THAT(log, HasSubstr("t0"));
  EXPECT_THAT(log, HasSubstr("someone_else"));
  EXPECT_THAT(log, HasSubstr(std::to_string(id)));
}

TEST_F(BadInput, SomeoneElsesProgramOnTheSecondInterface) {
  ASSERT_NE(attach_foreign_program("t1"), 0u);
  site_.config["interfaces"].push_back({{"name", "t1"}});
  EXPECT_THAT(refused(), HasSubstr("t1"));
  EXPECT_EQ(xdp_program_id("t0"), 0u);
}

TEST_F(BadInput, ABusyHttpPort) {
  const Fd holder(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(9413);
  ASSERT_EQ(bind(holder.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(holder.get(), 1), 0);
  site_.config["http"] = {{"listen", "127.0.0.1:9413"}};
  EXPECT_THAT(refused(),
              HasSubstr("http.listen: cannot listen on 127.0.0.1:9413: Address already in use"));
}

class TwoTfods : public BadInput {
 protected:
  void SetUp() override {
    BadInput::SetUp();
    if (IsSkipped()) return;
    first_ = std::make_unique<TfodProcess>(site_.write(), site_.path("log1"));
    ASSERT_TRUE(first_->ready()) << first_->log();
    program_ = xdp_program_id("t0");
    keys_ = site_.ask({{"command", "keys"}});
    ASSERT_NE(program_, 0u);
  }

  /// Starts another one and expects it to be refused and the first one to be unharmed.
  std::string second_is_refused() {
    TfodProcess second(site_.write("second.json"), site_.path("log2"));
    EXPECT_EQ(second.wait(), 2) << second.log();
    EXPECT_EQ(xdp_program_id("t0"), program_);
    site_.config["socket"] = site_.path("run/tfod.sock");
    EXPECT_EQ(site_.ask({{"command", "keys"}}), keys_);
    EXPECT_TRUE(site_.status()["conditions"].empty());
    return second.log();
  }

  std::unique_ptr<TfodProcess> first_;
  unsigned program_ = 0;
  json keys_;
};

TEST_F(TwoTfods, OfOneInstanceAndSocket) {
  EXPECT_THAT(second_is_refused(), HasSubstr("another tfod serves"));
}

TEST_F(TwoTfods, OfOneInstance) {
  site_.config["socket"] = site_.path("run/second.sock");
  site_.config["pools"]["web"]["file"] = site_.path("state/second.keys");
  EXPECT_THAT(second_is_refused(), HasSubstr(site_.bpffs().pins().string()));
}

TEST_F(TwoTfods, OfOneKeyFile) {
  site_.config["instance"] = "second";
  site_.config["socket"] = site_.path("run/second.sock");
  site_.config["interfaces"][0]["name"] = "t1";
  EXPECT_THAT(second_is_refused(), HasSubstr("web.keys"));
}

TEST_F(TwoTfods, OnOneInterface) {
  site_.config["instance"] = "second";
  site_.config["socket"] = site_.path("run/second.sock");
  site_.config["pools"]["web"]["file"] = site_.path("state/second.keys");
  const std::string log = second_is_refused();
  EXPECT_THAT(log, HasSubstr("t0"));
  EXPECT_THAT(log, HasSubstr("tfo_xdp"));
  EXPECT_FALSE(exists(site_.bpffs().pins("second") / "maps"));
}

}  // namespace
}  // namespace tfo::test
