// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl explain`, whole command lines: the verdict is the program's, and what is said around it
// is right for every reason.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "loader/capture/writer.h"
#include "loader/keys/keyring_file.h"
#include "loader/observe/reason_table.h"
#include "tests/support/cases.h"
#include "tests/support/outcome.h"
#include "tests/support/tfoctl_run.h"
#include "tools/explain_report.h"
#include "tools/replay_world.h"

namespace tfo::test {
namespace {

using nlohmann::json;

constexpr int64_t kExpired = 1'000'000'000;  // unix seconds
constexpr size_t kColumns = 100;
constexpr const char* kTwoInterfaces =
    R"({"name": "eth0"}, {"name": "eth1", "decap": ["gue", "ipip"]})";

struct Place {
  const char* key;
  tfo_place place;
  int64_t not_after;
};

RotationState keyring(const std::vector<Place>& places) {
  RotationState state;
  for (const Place& one : places) {
    Generation generation;
    generation.id = state.ring.generations.size() + 1;
    generation.key = Key::parse(one.key).value();
    generation.place = one.place;
    generation.not_after = one.not_after;
    if (one.place == TFO_PLACE_STAGED) state.ring.phase = Phase::staged;
    state.ring.generations.push_back(generation);
  }
  return state;
}

/// Nothing that is printed is a key, and text is never wider than a terminal.
void expect_presentable(const Ran& ran) {
  const std::string all = ran.out + ran.err;
  for (const std::string key :
       {kCurrentKey, kPreviousKey, kStagedKey, kExpiredKey, kRetiredKey, kRevokedKey, kOlderKey}) {
    EXPECT_EQ(all.find(key.substr(9, 8)), std::string::npos) << all;
  }
  if (ran.out.starts_with("{")) return;
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), kColumns) << ran.out;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << line << '|';
  }
}

/// A configuration with every place of a ring: VIPs web and old (its only key has expired).
class ExplainCommand : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tfoctl_explain_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    save("web.keys", {{kCurrentKey, TFO_PLACE_CURRENT, 0},
                      {kPreviousKey, TFO_PLACE_PREVIOUS, 0},
                      {kStagedKey, TFO_PLACE_STAGED, 0},
                      {kExpiredKey, TFO_PLACE_RETIRED, kExpired},
                      {kRetiredKey, TFO_PLACE_RETIRED, 0},
                      {kRevokedKey, TFO_PLACE_REVOKED, 0}});
    save("old.keys", {{kOlderKey, TFO_PLACE_CURRENT, kExpired}});
    write_config(R"({"name": "eth0"})");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void save(const std::string& file, const std::vector<Place>& places) const {
    KeyringFile keys(directory_ + "/" + file);
    ASSERT_OK(keys.lock());
    ASSERT_OK(keys.save(keyring(places)));
  }

  /// Each interface costs a load of the program at every command.
  void write_config(const std::string& interfaces) const {
    std::ofstream(config()) << fmt::format(
        R"({{"interfaces": [{4}],
             "pools": {{"webkeys": {{"file": "{0}/web.keys"}}, "oldkeys": {{"file": "{0}/old.keys"}}}},
             "vips": [{{"name": "web", "addresses": ["{1}", "{2}"], "ports": [443], "pool": "webkeys"}},
                      {{"name": "old", "addresses": ["{3}"], "pool": "oldkeys"}}]}})",
        directory_, kSides[0].web, kSides[1].web, kSides[0].expired, interfaces);
  }

  std::string config() const { return directory_ + "/tfod.json"; }

  json json_of(const Packet& packet, const std::string& interface = "eth0") const {
    const Ran ran = run({"-j", "explain", "--hex", to_hex(packet.frame()), "--config", config(),
                         "--interface", interface});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return json::parse(ran.out);
  }

  static Ran run(const std::vector<std::string>& arguments) {
    Ran ran = run_tfoctl(arguments);
    expect_presentable(ran);
    return ran;
  }

  /// The same in a world that is open already: loading it is what takes time.
  static Ran run_in(ReplayWorld& world, const Packet& packet, bool as_json) {
    std::istringstream in;
    std::ostringstream out, err;
    Context context{in, out, err};
    context.json = as_json;
    ExplainArgs args;
    args.hex = to_hex(packet.frame());
    const auto input = ExplainInput::open(context, args);
    if (!input) return {report(context, input.error()), out.str(), err.str()};
    Ran ran{explain_in(context, **input, world, ""), "", ""};
    ran.out = out.str();
    ran.err = err.str();
    expect_presentable(ran);
    return ran;
  }

  std::string directory_;
};

Packet with_cookie(const char* key, Packet packet = web_syn(kSides[0])) {
  packet.option(fast_open(cookie_of(key, packet)));
  return packet;
}

/// A SYN whose TCP header lies beyond what a program reaches in one piece.
Packet far_syn() {
  Bytes body(2047);
  body[0] = 255;
  return Packet::syn(kSides[1].client, kSides[1].web)
      .extension(kDestinationOptions, body)
      .extension(kDestinationOptions, body);
}

struct Told {
  tfo_reason reason;
  Packet packet;
  std::vector<std::string> says;
};

std::vector<Told> every_reason() {
  const Side& side = kSides[0];
  const Packet syn = web_syn(side);
  return {
      {TFO_NOT_TCP, Packet(syn).ip_protocol(17), {"carries UDP, not TCP"}},
      {TFO_FRAGMENT, Packet(syn).data(40).fragment(24, 40), {"ip_defrag()", "from byte 24"}},
      {TFO_TRUNCATED, Packet(syn).cut_tcp(16), {"16 bytes into a TCP header of 20"}},
      {TFO_OTHER, Packet(syn).flags(kSyn | kFin), {"A SYN with FIN", "tcp_rcv_state_process()"}},
      {TFO_SYN_ACK, Packet(syn).flags(kSyn | kAck), {"flags SYN, ACK", "A server's answer"}},
      {TFO_NOT_VIP,
       Packet(syn).ports(40000, 80),
       {"none; what follows is not looked at", "No VIP has the address", "with port 80"}},
      {TFO_PLAIN, syn, {"web, keys of pool webkeys", "none of Fast Open moves"}},
      {TFO_DATA_NO_OPTION, Packet(syn).data(20), {"its 20 bytes of data must come again"}},
      {TFO_REQUEST, Packet(syn).option(fast_open()), {">>", "TCPFastOpenCookieReqd + 1"}},
      {TFO_COOKIE_CURRENT, with_cookie(kCurrentKey), {"under key 1", "TCPFastOpenPassive + 1"}},
      {TFO_COOKIE_STAGED, with_cookie(kStagedKey), {"under key 3", "TCPFastOpenPassiveAltKey + 1"}},
      {TFO_COOKIE_PREVIOUS, with_cookie(kPreviousKey), {"under key 2", "neither of them"}},
      {TFO_COOKIE_RETIRED, with_cookie(kRetiredKey), {"under key 5", "passed over: expired 2001"}},
      {TFO_COOKIE_REVOKED, with_cookie(kRevokedKey), {"revoked and is never accepted"}},
      {TFO_COOKIE_INVALID,
       with_cookie(kExpiredKey),
       {"None of the 5 keys that have not expired gives this cookie", "TCPFastOpenPassiveFail"}},
      {TFO_COOKIE_LENGTH, Packet(syn).option(fast_open(Bytes(16))), {"16 bytes are a legal"}},
      {TFO_OPTION_IGNORED, Packet(syn).option(fast_open(Bytes(7))), {"ignored, the number is odd"}},
      {TFO_NO_KEY,
       with_cookie(kOlderKey, Packet::syn(side.client, side.expired)),
       {"old, keys of pool oldkeys", "All 1 of the pool's keys", "if neither did"}},
      {TFO_INTERNAL_ERROR, far_syn(), {"beyond the first piece"}},
  };
}

/// The text without its line breaks: where they fall is not what the test is about.
std::string unbroken(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += word + ' ';
  return line;
}

void expect_text(const Told& told, const Ran& ran) {
  EXPECT_EQ(ran.code, 0) << ran.err << ran.out;
  EXPECT_EQ(ran.err, "");
  const std::string verdict =
      fmt::format("verdict  {}: {}", reason_label(told.reason), reason_sentence(told.reason));
  EXPECT_NE(ran.out.find(verdict), std::string::npos) << verdict << '\n' << ran.out;
  const std::string flat = unbroken(ran.out);
  for (const std::string& part : told.says) {
    EXPECT_NE(flat.find(part), std::string::npos) << part << '\n' << ran.out;
  }
}

void expect_document(const Told& told, const Ran& ran) {
  EXPECT_EQ(ran.code, 0) << ran.err;
  const json answer = json::parse(ran.out);
  EXPECT_EQ(answer["reason"], reason_label(told.reason)) << answer.dump(1);
  EXPECT_EQ(answer["defect"], nullptr);
  EXPECT_EQ(answer["verdict"], "pass");
  EXPECT_EQ(answer["frame"]["length"], told.packet.frame().size());
  EXPECT_NE(answer["rule"], "");
  const bool syn_to_vip = told.reason >= TFO_PLAIN && told.reason <= TFO_NO_KEY;
  for (const char* part : {"vip", "options", "fast_open", "keys", "servers"}) {
    EXPECT_EQ(answer[part].is_null(), !syn_to_vip) << part << answer.dump(1);
  }
}

TEST_F(ExplainCommand, EveryReason) {
  std::istringstream in;
  std::ostringstream out, err;
  Context context{in, out, err};
  auto world = open_world(context, {.config = config(), .keys = {}, .interface = "", .decap = {}});
  ASSERT_TRUE(world) << world.error().message << err.str();
  std::set<tfo_reason> seen;
  for (const Told& told : every_reason()) {
    expect_text(told, run_in(*world, told.packet, false));
    expect_document(told, run_in(*world, told.packet, true));
    seen.insert(told.reason);
  }
  EXPECT_EQ(seen.size(), size_t{TFO_REASON_COUNT});
}

TEST_F(ExplainCommand, TheDocumentOfACookie) {
  const Packet packet = with_cookie(kStagedKey, web_syn(kSides[1]).tag().data(20));
  const json answer = json_of(packet);
  EXPECT_EQ(answer["frame"]["tags"][0]["vlan"], 7);
  EXPECT_EQ(answer["ip"][0]["source"], kSides[1].client);
  EXPECT_EQ(answer["ip"][0]["offset"], 18);
  EXPECT_EQ(answer["tcp"]["offset"], 58);
  EXPECT_EQ(answer["tcp"]["data_length"], 20);
  EXPECT_EQ(answer["vip"], (json{{"name", "web"}, {"pool", "webkeys"}}));
  EXPECT_EQ(answer["options"][0]["offset"], 78);
  EXPECT_EQ(answer["options"][0]["effective"], true);
  EXPECT_EQ(answer["fast_open"]["cookie"], to_hex(cookie_of(kStagedKey, packet)));
  std::string trials;
  for (const json& key : answer["keys"]) {
    trials += key["slot"].get<std::string>() + " " + key["result"].get<std::string>() + "\n";
  }
  EXPECT_EQ(trials,
            "primary no\nnone no\nbackup match\nnone not_tried\nnone not_tried\nnone not_tried\n");
  EXPECT_EQ(answer["keys"][2]["fingerprint"], Key::parse(kStagedKey)->fingerprint());
  EXPECT_EQ(answer["servers"][0]["acks_data"], true);
  EXPECT_EQ(answer["servers"][0]["option"], "34");
  EXPECT_EQ(answer["servers"][0]["counters"],
            (json{"TCPFastOpenPassive", "TCPFastOpenPassiveAltKey"}));
}

/// The interface decides what is looked into: by --interface, or by the capture's own name for it.
TEST_F(ExplainCommand, TunnelsByInterface) {
  write_config(kTwoInterfaces);
  const Packet packet = with_cookie(kCurrentKey).in_gue("192.0.2.1", "192.0.2.2");
  EXPECT_EQ(json_of(packet, "eth0")["reason"], "not_tcp");
  const json inside = json_of(packet, "eth1");
  EXPECT_EQ(inside["reason"], "cookie_current");
  EXPECT_EQ(inside["gue"]["port"], 6080);
  EXPECT_EQ(inside["ip"].size(), 2U);
  const std::string hex = to_hex(packet.frame());
  const Ran text = run({"explain", "--hex", hex, "--config", config(), "--interface", "eth1"});
  EXPECT_NE(text.out.find("tunnel   GUE, variant 0, UDP port 6080"), std::string::npos) << text.out;
  const Ran none = run({"explain", "--hex", hex, "--config", config(), "--interface", "eth7"});
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("eth0, eth1"), std::string::npos) << none.err;
  const Ran bare = run({"-j", "explain", "--hex", hex, "--decap", "ipip,gue"});
  EXPECT_EQ(json::parse(bare.out)["reason"], "no_key") << bare.out;
}

/// Frames of a capture on their own clock, interfaces and link types.
class ExplainCapture : public ExplainCommand {
 protected:
  void add(const Packet& packet, uint32_t interface, uint64_t seconds, size_t missing = 0) {
    const Bytes frame = packet.frame();
    CapturedFrame captured;
    captured.number = frames_ + 1;
    captured.time_ns = seconds * 1'000'000'000 + 246'813'579;
    captured.interface = interface;
    captured.wire_length = static_cast<uint32_t>(frame.size());
    ASSERT_OK(writer_->add(captured, View(frame).first(frame.size() - missing), ""));
    frames_++;
  }
  void SetUp() override {
    ExplainCommand::SetUp();
    auto writer = CaptureWriter::create(file(), "test");
    ASSERT_TRUE(writer) << writer.error().message;
    writer_.emplace(std::move(*writer));
    const struct {
      uint32_t link_type;
      const char* name;
    } interfaces[] = {{kLinkEthernet, "eth0"}, {kLinkRaw, "eth1"}, {kLinkEthernet, "eth1"}};
    for (const auto& [link_type, name] : interfaces) {
      CaptureInterface interface;
      interface.link_type = link_type;
      interface.name = name;
      ASSERT_OK(writer_->add_interface(interface));
    }
  }
  json frame(uint64_t number) const {
    const Ran ran =
        run({"-j", "explain", file(), "--frame", std::to_string(number), "--config", config()});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return json::parse(ran.out);
  }
  std::string file() const { return directory_ + "/capture.pcapng"; }

  std::optional<CaptureWriter> writer_;
  uint64_t frames_ = 0;
};

TEST_F(ExplainCapture, FramesOnTheCapturesClock) {
  const Packet expiring = with_cookie(kExpiredKey);
  add(expiring, 0, kExpired - 1);
  add(expiring, 0, kExpired + 1);
  add(expiring, 0, kExpired - 1);
  ASSERT_OK(writer_->commit());
  EXPECT_EQ(frame(1)["reason"], "cookie_retired");
  EXPECT_EQ(frame(2)["reason"], "cookie_invalid");
  EXPECT_EQ(frame(2)["keys"][3]["result"], "expired");
  EXPECT_EQ(frame(3)["reason"], "cookie_retired");
  EXPECT_EQ(frame(3)["frame"]["number"], 3);
  EXPECT_EQ(frame(3)["frame"]["time_ns"], (kExpired - 1) * 1'000'000'000 + 246'813'579);
  const Ran text = run({"explain", file(), "--frame", "1", "--config", config()});
  EXPECT_NE(text.out.find("frame    1 of " + file() + ", 2001-09-09 01:46:39.246813579Z"),
            std::string::npos)
      << text.out;
}

TEST_F(ExplainCapture, LinkTypesAndInterfacesOfTheCapture) {
  write_config(kTwoInterfaces);
  Packet raw = with_cookie(kCurrentKey);
  add(raw.l3(), 1, kExpired);
  add(with_cookie(kCurrentKey).in_ip("192.0.2.1", "192.0.2.2"), 0, kExpired);
  add(with_cookie(kCurrentKey).in_ip("192.0.2.1", "192.0.2.2"), 2, kExpired);
  ASSERT_OK(writer_->commit());
  EXPECT_EQ(frame(1)["reason"], "cookie_current");
  EXPECT_EQ(frame(1)["ip"][0]["offset"], 0) << "in the frame as it was captured";
  EXPECT_EQ(frame(1)["options"][0]["offset"], 40);
  EXPECT_EQ(frame(2)["reason"], "not_tcp") << "eth0 does not look into tunnels";
  EXPECT_EQ(frame(3)["reason"], "cookie_current");
}

TEST_F(ExplainCapture, WhatTheCaptureLeftOut) {
  const Packet packet = with_cookie(kCurrentKey).data(100);
  add(packet, 0, kExpired, 100);
  add(packet, 0, kExpired, 101);
  ASSERT_OK(writer_->commit());
  const json whole = frame(1);
  EXPECT_EQ(whole["reason"], "cookie_current");
  EXPECT_EQ(whole["frame"]["captured"].get<size_t>() + 100, whole["frame"]["length"]);
  EXPECT_EQ(whole["tcp"]["data_length"], 100);
  const Ran cut = run({"explain", file(), "--frame", "2", "--config", config()});
  EXPECT_EQ(cut.code, 2);
  EXPECT_NE(cut.err.find("left out headers that decide"), std::string::npos) << cut.err;
}

}  // namespace
}  // namespace tfo::test
