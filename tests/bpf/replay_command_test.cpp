// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl replay` as it is typed: what it prints, what it writes, how it ends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "loader/keys/keyring_file.h"
#include "loader/observe/reason_table.h"
#include "tests/support/capture_read.h"
#include "tests/support/cases.h"
#include "tests/support/replay_judge.h"
#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

using nlohmann::json;

class ReplayCommand : public testing::Test {
 protected:
  std::string capture(uint32_t link_type = kLinkEthernet) const {
    return directory_.write("sorts.pcapng", capture_of(replay_sorts(link_type), link_type));
  }
  CaptureDirectory directory_;
};

uint64_t sum(const json& counts) {
  uint64_t all = 0;
  for (const auto& [name, count] : counts.items()) all += count.get<uint64_t>();
  return all;
}

TEST_F(ReplayCommand, BareKeysMakeEveryDestinationAVip) {
  const Ran ran = run_tfoctl({"-j", "replay", capture(), "--key", kReplayKeys});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const json document = json::parse(ran.out);
  EXPECT_EQ(document["frames"], 10);
  EXPECT_EQ(document["complete"], true);
  EXPECT_EQ(document["skipped"]["total"], 0);
  json expected = json::object();
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; reason++) {
    expected[std::string(reason_label(reason))] = 0;
  }
  expected.update({{"plain", 1},
                   {"request", 1},
                   {"cookie_current", 1},
                   {"cookie_previous", 1},
                   {"cookie_invalid", 4},
                   {"data_no_option", 1},
                   {"other", 1}});
  EXPECT_EQ(document["reasons"], expected);
  EXPECT_EQ(document["actions"], (json{{"pass", 10}, {"renew", 0}, {"demote", 0}, {"drop", 0}}));
  EXPECT_EQ(document["would"], document["actions"]);
  const json& refused = document["refused"];
  EXPECT_EQ(refused["syns"], 5);
  EXPECT_EQ(refused["with_data"], 4);
  EXPECT_EQ(refused["clients"][0]["client"], "10.88.1.3");
  EXPECT_EQ(refused["clients"][0]["syns"], 3);
  EXPECT_EQ(refused["clients"][0]["reason"], "cookie_invalid");
  EXPECT_EQ(ran.err, "");
}

TEST_F(ReplayCommand, WithoutKeysSaysThatCookiesWereNotChecked) {
  const Ran ran = run_tfoctl({"replay", capture()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("6 cookies could not be checked"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("--key-file"), std::string::npos) << ran.out;
}

/// "Nobody is refused" is said only of SYNs that were judged.
TEST_F(ReplayCommand, SaysThatNobodyIsRefusedOnlyIfItKnows) {
  const auto ends = [&](const Bytes& file, const char* keys) {
    const std::string path = directory_.write("few.pcapng", file);
    const Ran ran = keys == nullptr ? run_tfoctl({"replay", path})
                                    : run_tfoctl({"replay", path, "--key", keys});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out.substr(ran.out.rfind("\n\n") + 2);
  };
  const std::vector<Bytes> all = replay_sorts();
  const std::vector<Bytes> good = {all[2]}, segment = {all.back()};
  EXPECT_EQ(ends(capture_of(good, kLinkEthernet), kReplayKeys),
            "The servers refuse nobody's Fast Open here.\n");
  EXPECT_EQ(ends(capture_of(good, kLinkEthernet), nullptr),
            "1 cookies could not be checked: no key. Give the servers' keys with --key-file.\n");
  EXPECT_EQ(ends(capture_of(segment, kLinkEthernet), kReplayKeys), "No SYN to a VIP was judged.\n");
  EXPECT_EQ(ends(capture_of(good, 147), kReplayKeys), "No SYN to a VIP was judged.\n");
}

TEST_F(ReplayCommand, FramesAreNumberedAndSumUp) {
  const Ran ran = run_tfoctl({"-j", "replay", capture(), "--key", kReplayKeys, "--frames"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const json document = json::parse(ran.out);
  ASSERT_EQ(document["packets"].size(), 10U);
  std::map<std::string, int> reasons;
  for (size_t i = 0; i < 10; i++) {
    EXPECT_EQ(document["packets"][i]["number"], i + 1);
    EXPECT_EQ(document["packets"][i]["time_ns"], kReplayStamp);
    reasons[document["packets"][i]["reason"].get<std::string>()]++;
  }
  for (const auto& [reason, count] : reasons) EXPECT_EQ(document["reasons"][reason], count);
  const json& third = document["packets"][2];
  EXPECT_EQ(third["source"], "10.88.1.2");
  EXPECT_EQ(third["destination_port"], 443);
  EXPECT_EQ(third["option"], "34");
  EXPECT_EQ(third["data"], 1);

  const Ran text = run_tfoctl({"replay", capture(), "--key", kReplayKeys, "--frames"});
  EXPECT_NE(text.out.find("       3  1970-01-01 00:16:40.000000000  10.88.1.2:40000 > "
                          "10.88.0.1:443"),
            std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("cookie_current option=34 data=1  pass\n"), std::string::npos);
}

TEST_F(ReplayCommand, AConfigurationBringsItsVipsAndKeyFiles) {
  RotationState state;
  state.ring.revision = 1;
  for (const auto& [key, place] : {std::pair{kCurrentKey, TFO_PLACE_CURRENT},
                                   {kPreviousKey, TFO_PLACE_PREVIOUS},
                                   {kStrangerKey, TFO_PLACE_RETIRED}}) {
    Generation generation;
    generation.id = state.ring.generations.size() + 1;
    generation.key = Key::parse(key).value();
    generation.place = place;
    generation.created_at = 1;
    state.ring.generations.push_back(generation);
  }
  KeyringFile keys(directory_.file("web.keys"));
  ASSERT_TRUE(keys.lock());
  ASSERT_TRUE(keys.save(state));
  const std::string text =
      R"({"interfaces": [{"name": "eth0"}], "pools": {"web": {"store": "file", "file": ")" +
      directory_.file("web.keys") + R"("}},
      "vips": [{"name": "web", "addresses": ["10.88.0.1"], "ports": [443], "pool": "web"}]})";
  const std::string config = directory_.write("tfod.json", Bytes(text.begin(), text.end()));
  const Ran ran = run_tfoctl({"-j", "replay", capture(), "--config", config});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const json document = json::parse(ran.out);
  EXPECT_EQ(document["reasons"]["not_vip"], 1);
  EXPECT_EQ(document["reasons"]["cookie_retired"], 4);
  EXPECT_EQ(document["reasons"]["cookie_current"], 1);
  EXPECT_EQ(document["vips"][0]["name"], "web");
  EXPECT_EQ(sum(document["vips"][0]["reasons"]), 8U);
  EXPECT_EQ(sum(document["reasons"]), 10U);
}

TEST_F(ReplayCommand, ACaptureThatEndsEarlyGivesWhatItHasAndExitCode2) {
  Bytes file = capture_of(replay_sorts(), kLinkEthernet);
  file.resize(file.size() - 10);
  const std::string path = directory_.write("cut.pcapng", file);
  const Ran ran = run_tfoctl({"-j", "replay", path, "--key", kReplayKeys});
  EXPECT_EQ(ran.code, 2);
  const json document = json::parse(ran.out);
  EXPECT_EQ(document["complete"], false);
  EXPECT_EQ(document["frames"], 9);
  EXPECT_EQ(sum(document["reasons"]), 9U);
  EXPECT_NE(ran.err.find(path), std::string::npos) << ran.err;
  EXPECT_EQ(document["error"].get<std::string>() + '\n', ran.err.substr(sizeof("tfoctl: ") - 1));
}

struct Wrong {
  std::vector<std::string> arguments;
  std::string says;
};

TEST_F(ReplayCommand, WrongUseIsRefusedAndNothingIsPrinted) {
  const std::string good = capture();
  const std::string text = directory_.write("text", Bytes{'h', 'e', 'l', 'l', 'o', '\n'});
  const std::vector<Wrong> all = {
      {{"/nonexistent.pcap"}, "/nonexistent.pcap"},
      {{text}, text},
      {{directory_.path().string()}, "directory"},
      {{good, "--key", "123"}, "--key"},
      {{good, "--key-file", "/nonexistent"}, "--key-file"},
      {{good, "--config", "/nonexistent.json"}, "/nonexistent.json"},
      {{good, "--config", "/nonexistent.json", "--key", kReplayKeys}, "--config"},
      {{good, "--decap", "vxlan"}, "--decap"},
      {{good, "--out", good}, "--out"},
      {{good, "--out", "/nonexistent/out.pcapng"}, "--out"},
      {{good, "--out", text}, "is no capture"},
      {{"-", "--key-file", "-"}, "standard input"},
      {{good, "--refused", "-1"}, "--refused"},
  };
  for (const Wrong& wrong : all) {
    std::vector<std::string> arguments = {"-j", "replay"};
    arguments.insert(arguments.end(), wrong.arguments.begin(), wrong.arguments.end());
    const Ran ran = run_tfoctl(arguments);
    EXPECT_EQ(ran.code, 2) << wrong.says;
    EXPECT_EQ(ran.out, "") << wrong.says;
    EXPECT_NE(ran.err.find(wrong.says), std::string::npos) << ran.err;
    EXPECT_EQ(ran.err.find("00112233"), std::string::npos) << ran.err;
  }
  auto untouched = CaptureReader::open(good);
  ASSERT_TRUE(untouched) << untouched.error().message;
  EXPECT_EQ(read_to_end(std::move(*untouched), std::filesystem::file_size(good)).frames,
            read_capture(capture_of(replay_sorts(), kLinkEthernet)).frames);
}

}  // namespace
}  // namespace tfo::test
