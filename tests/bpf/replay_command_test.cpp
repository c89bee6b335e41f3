// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl replay` as it is typed: what it prints, what it writes, how it ends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
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

constexpr const char* kKeys =
    "00112233-44556677-8899aabb-ccddeeff,0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";

/// A SYN of each sort from clients of their own, and one segment that is no SYN.
std::vector<Bytes> sorts() {
  const Side& side = kSides[0];
  std::vector<Bytes> frames;
  const auto add = [&](const Packet& packet) { frames.push_back(packet.frame()); };
  const auto cookie = [&](const char* client, const char* key, size_t data) {
    Packet syn = Packet::syn(client, side.web);
    syn.option(fast_open(cookie_of(key, syn))).data(data);
    add(syn);
  };
  add(Packet::syn("10.88.1.1", side.web));
  add(Packet::syn("10.88.1.1", side.web).option(fast_open()));
  cookie("10.88.1.2", kCurrentKey, 20);
  cookie("10.88.1.2", kPreviousKey, 20);
  for (int i = 0; i < 3; i++) cookie("10.88.1.3", kStrangerKey, 20);
  cookie("10.88.1.4", kStrangerKey, 0);
  add(Packet::syn("10.88.1.5", side.stranger).data(5));
  add(Packet::syn("10.88.1.6", side.web).flags(kAck));
  return frames;
}

class ReplayCommand : public testing::Test {
 protected:
  std::string capture(uint32_t link_type = kLinkEthernet) const {
    return directory_.write("sorts.pcapng", capture_of(linked(link_type), link_type));
  }
  static std::vector<Bytes> linked(uint32_t link_type) {
    std::vector<Bytes> frames = sorts();
    for (Bytes& frame : frames) frame = relinked(frame, link_type);
    return frames;
  }
  CaptureDirectory directory_;
};

uint64_t sum(const json& counts) {
  uint64_t all = 0;
  for (const auto& [name, count] : counts.items()) all += count.get<uint64_t>();
  return all;
}

TEST_F(ReplayCommand, BareKeysMakeEveryDestinationAVip) {
  const Ran ran = run_tfoctl({"-j", "replay", capture(), "--key", kKeys});
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
  const std::vector<Bytes> all = sorts();
  const std::vector<Bytes> good = {all[2]}, segment = {all.back()};
  EXPECT_EQ(ends(capture_of(good, kLinkEthernet), kKeys),
            "The servers refuse nobody's Fast Open here.\n");
  EXPECT_EQ(ends(capture_of(good, kLinkEthernet), nullptr),
            "1 cookies could not be checked: no key. Give the servers' keys with --key-file.\n");
  EXPECT_EQ(ends(capture_of(segment, kLinkEthernet), kKeys), "No SYN to a VIP was judged.\n");
  EXPECT_EQ(ends(capture_of(good, 147), kKeys), "No SYN to a VIP was judged.\n");
}

TEST_F(ReplayCommand, FramesAreNumberedAndSumUp) {
  const Ran ran = run_tfoctl({"-j", "replay", capture(), "--key", kKeys, "--frames"});
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

  const Ran text = run_tfoctl({"replay", capture(), "--key", kKeys, "--frames"});
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

/// What a program prints, and its exit status.
std::pair<std::string, int> output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {"popen", -1};
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, n);
  const int status = pclose(pipe);
  return {text, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

TEST_F(ReplayCommand, ReadsAPipe) {
  const auto [text, status] = output_of(
      fmt::format("cat {} | {}/tfoctl -j replay - --key {}", capture(), TFO_BIN_DIR, kKeys));
  EXPECT_EQ(status, 0);
  EXPECT_EQ(json::parse(text)["frames"], 10);
}

/// tshark reads what --out writes: the frames byte by byte, the comments, right checksums.
TEST_F(ReplayCommand, OutIsReadByTsharkInEveryLinkType) {
  for (const uint32_t link : {kLinkEthernet, kLinkRaw, kLinkCooked, kLinkCooked2}) {
    const std::string in = capture(link);
    const std::string out = directory_.file("out.pcapng");
    const Ran ran = run_tfoctl({"replay", in, "--key", kKeys, "--out", out});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const auto [text, status] =
        output_of("tshark -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -r " + out +
                  " -T fields -E separator='|' -e frame.number -e ip.checksum.status "
                  "-e tcp.checksum.status -e frame.comment 2>/dev/null");
    EXPECT_EQ(status, 0);
    EXPECT_EQ(text,
              "1|1|1|tfoguard: plain option=none data=0 pass\n"
              "2|1|1|tfoguard: request option=34 data=0 pass\n"
              "3|1|1|tfoguard: cookie_current option=34 data=1 pass\n"
              "4|1|1|tfoguard: cookie_previous option=34 data=1 pass\n"
              "5|1|1|tfoguard: cookie_invalid option=34 data=1 pass\n"
              "6|1|1|tfoguard: cookie_invalid option=34 data=1 pass\n"
              "7|1|1|tfoguard: cookie_invalid option=34 data=1 pass\n"
              "8|1|1|tfoguard: cookie_invalid option=34 data=0 pass\n"
              "9|1|1|tfoguard: data_no_option option=none data=1 pass\n"
              "10|1|1|tfoguard: other option=none data=0 pass\n")
        << link;
    auto reader = CaptureReader::open(out);
    ASSERT_TRUE(reader) << reader.error().message;
    const ReadCapture copy = read_to_end(std::move(*reader), 1 << 20);
    const std::vector<Bytes> frames = linked(link);
    ASSERT_EQ(copy.frames.size(), frames.size());
    for (size_t i = 0; i < frames.size(); i++) EXPECT_EQ(copy.frames[i].bytes, frames[i]) << i;
  }
}

TEST_F(ReplayCommand, ACaptureThatEndsEarlyGivesWhatItHasAndExitCode2) {
  Bytes file = capture_of(sorts(), kLinkEthernet);
  file.resize(file.size() - 10);
  const std::string path = directory_.write("cut.pcapng", file);
  const Ran ran = run_tfoctl({"-j", "replay", path, "--key", kKeys});
  EXPECT_EQ(ran.code, 2);
  const json document = json::parse(ran.out);
  EXPECT_EQ(document["complete"], false);
  EXPECT_EQ(document["frames"], 9);
  EXPECT_EQ(sum(document["reasons"]), 9U);
  EXPECT_NE(ran.err.find(path), std::string::npos) << ran.err;
  EXPECT_EQ(document["error"].get<std::string>() + '\n', ran.err.substr(sizeof("tfoctl: ") - 1));
}

/// Frames enough for several buffers of --out and of a pipe.
Bytes long_capture() { return capture_of(std::vector<Bytes>(20'000, sorts().front()), 1); }

/// What stands in the directory after this shell command; "tfoctl" is the one under test.
std::string left_by(const CaptureDirectory& directory, const std::string& command) {
  const auto [text, status] =
      output_of(fmt::format("cd {} && PATH={}:$PATH && {{ {}; }} 2>&1; ls",
                            directory.path().string(), TFO_BIN_DIR, command));
  EXPECT_EQ(status, 0);
  return text;
}

TEST_F(ReplayCommand, AFullDiskIsNamedAndNothingIsLeft) {
  directory_.write("in", long_capture());
  const std::string left = left_by(
      directory_,
      "(ulimit -f 600; trap '' XFSZ; tfoctl replay in --out out >/dev/null) || echo code $?");
  EXPECT_EQ(left,
            "tfoctl: --out: cannot write out: File too large\n"
            "tfoctl: --out: cannot write out: an earlier part of it is missing\n"
            "code 2\nin\n");
}

/// A shell's words: a replay of a pipe into `out`, under way, its process $!.
constexpr const char* kUnderWay =
    "mkfifo pipe; tfoctl replay pipe --out out >/dev/null & exec 3>pipe; cat in >&3; "
    "timeout 20 sh -c 'until [ -s out.*.part ]; do sleep 0.05; done'; ";

TEST_F(ReplayCommand, WhatEndsItLeavesNoUnfinishedFile) {
  directory_.write("in", long_capture());
  EXPECT_EQ(left_by(directory_, "tfoctl replay in --frames --out out | true"), "in\n");
  for (const auto& [signal, code] : {std::pair{"TERM", 143}, {"HUP", 129}, {"INT", 130}}) {
    // The first SIGINT is not deadly.
    const std::string kill = fmt::format(
        "while grep -qs . /proc/$!/cmdline; do kill -{} $!; sleep 0.05; done; wait $!; ", signal);
    EXPECT_EQ(left_by(directory_, kUnderWay + kill + "echo code $?; rm pipe"),
              fmt::format("code {}\nin\n", code));
  }
}

/// As when Ctrl-C kills the tcpdump before the pipe in the middle of a frame.
TEST_F(ReplayCommand, AnInterruptedPipeGivesWhatItHad) {
  Bytes file = long_capture();
  file.resize(file.size() - 10);
  directory_.write("in", file);
  const std::string left =
      left_by(directory_,
              kUnderWay + std::string("kill -INT $!; exec 3>&-; wait $!; echo code $?; rm pipe"));
  EXPECT_NE(left.find("code 2\nin\nout\n"), std::string::npos) << left;
  const std::string out = directory_.file("out");
  auto reader = CaptureReader::open(out);
  ASSERT_TRUE(reader) << reader.error().message;
  const ReadCapture copy = read_to_end(std::move(*reader), std::filesystem::file_size(out));
  EXPECT_EQ(copy.frames.size(), 19'999U);
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
      {{good, "--config", "/nonexistent.json", "--key", kKeys}, "--config"},
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
  EXPECT_EQ(read_capture(capture_of(sorts(), kLinkEthernet)).frames.size(), 10U);
}

}  // namespace
}  // namespace tfo::test
