// SPDX-License-Identifier: BSD-2-Clause
// tfoctl's conversation with a daemon, here one that answers what the test wants.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/fake_daemon.h"

namespace {

using nlohmann::json;
using tfo::test::FakeDaemon;
using tfo::test::Ran;
using Words = std::vector<std::string>;

const json kStatus = {
    {"version", "1.2.3"},
    {"instance", "edge"},
    {"pid", 4711},
    {"uptime_s", 3725.5},
    {"interfaces",
     {{{"name", "eth7"}, {"ifindex", 9}, {"mode", "generic"}, {"detail", "driver has no XDP"}}}},
    {"pools",
     {{{"name", "web"},
       {"store", "file"},
       {"state", "steady"},
       {"next_rotation", nullptr},
       {"ring", {{{"id", "1"}, {"fingerprint", "1a2b3c4d"}, {"place", "current"}}}}}}},
    {"conditions",
     {{{"id", "generic_mode"},
       {"subject", "eth7"},
       {"since", 1700000000},
       {"evidence", "driver has no XDP"},
       {"severity", "warning"}}}}};

json stats(int valid, int invalid) {
  return {{"node", {{"not_vip", 7}, {"syn_ack", 0}}},
          {"vips",
           {{{"name", "web"},
             {"reasons", {{"cookie_current", valid}, {"cookie_invalid", invalid}, {"plain", 5}}},
             {"cells", json::array()},
             {"actions", {{"pass", valid + invalid + 5}, {"drop", 0}}},
             {"would", {{"pass", valid + 5}, {"demote", invalid}}}},
            {{"name", "api"}, {"reasons", json::object()}}}}};
}

TEST(TfoctlDaemon, StatusShowsTheServersListenersThatMayDoFastOpen) {
  json status = kStatus;
  json listeners = {{{"address", "::"},
                     {"port", 81},
                     {"backlog", 12},
                     {"fastopen_limit", 0},
                     {"fastopen_pending", 0},
                     {"own_keys", json::array()}},
                    {{"address", "192.0.2.1"},
                     {"port", 80},
                     {"backlog", 33},
                     {"fastopen_limit", 7},
                     {"fastopen_pending", 2},
                     {"own_keys", {"0a0b0c0d"}}}};
  for (int port = 1000; port < 1020; ++port) {
    listeners.push_back({{"address", "192.0.2.1"},
                         {"port", port},
                         {"backlog", 5},
                         {"fastopen_limit", nullptr},
                         {"fastopen_pending", nullptr},
                         {"own_keys", nullptr}});
  }
  FakeDaemon daemon;
  status["namespaces"] = {{{"netns", "blue"},
                           {"pool", "web"},
                           {"server_bit", "on"},
                           {"fastopen_bits", 3},
                           {"listeners", listeners}}};
  daemon.answer("status", status);
  const std::string text = daemon.run({"status"}).out;
  EXPECT_NE(text.find("192.0.2.1 port 80"), std::string::npos) << text;
  EXPECT_NE(text.find("backlog 33, Fast Open 2 of 7, keys of its own"), std::string::npos) << text;
  EXPECT_NE(text.find("backlog 5, Fast Open not known"), std::string::npos) << text;
  EXPECT_NE(text.find("and 13 more"), std::string::npos) << text;
  EXPECT_EQ(text.find("port 81"), std::string::npos) << text;
}

TEST(TfoctlDaemon, StatusAsTextAndAsTheDaemonsDocument) {
  FakeDaemon daemon;
  daemon.answer("status", kStatus);
  const Ran text = daemon.run({"status"});
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* part : {"tfod 1.2.3, instance edge, pid 4711, up 1h 2m", "eth7", "generic",
                           "current 1a2b3c4d", "generic_mode", "2023-11-14 22:13:20Z"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
  }
  const Ran document = daemon.run({"status", "-j"});
  EXPECT_EQ(document.code, 0);
  EXPECT_EQ(json::parse(document.out), kStatus);
}

TEST(TfoctlDaemon, AnotherInstanceIsRefused) {
  FakeDaemon daemon;
  daemon.answer("status", kStatus);
  EXPECT_EQ(daemon.run({"status", "--instance", "edge"}).code, 0);
  const Ran wrong = daemon.run({"--instance", "core", "status"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("'edge', not 'core'"), std::string::npos) << wrong.err;
}

TEST(TfoctlDaemon, StatsInShortAndOfOneVip) {
  FakeDaemon daemon;
  daemon.answer("stats", stats(100, 20));
  const Ran all = daemon.run({"stats"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_NE(all.out.find("web   125      5        0    100       20"), std::string::npos)
      << all.out;
  EXPECT_NE(all.out.find("not_vip"), std::string::npos);
  const Ran one = daemon.run({"stats", "--vip", "web"});
  EXPECT_NE(one.out.find("A cookie under the current key"), std::string::npos) << one.out;
  EXPECT_NE(one.out.find("demote     0     20"), std::string::npos) << one.out;
  EXPECT_EQ(daemon.run({"stats", "--vip", "none"}).code, 2);
  EXPECT_EQ(json::parse(daemon.run({"-j", "stats"}).out), stats(100, 20));
  EXPECT_EQ(json::parse(daemon.run({"-j", "stats", "--vip", "api"}).out)["vips"].size(), 1U);
}

TEST(TfoctlDaemon, WatchShowsRatesAndEnds) {
  FakeDaemon daemon;
  daemon.answer("stats", stats(100, 20));
  const Ran ran = daemon.run({"stats", "watch", "--count", "2", "--interval", "0.1"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("SYNs/s"), std::string::npos);
  EXPECT_EQ(ran.out.find('\033'), std::string::npos) << "not a terminal";
  const size_t second = ran.out.find("SYNs/s", ran.out.find("SYNs/s") + 1);
  ASSERT_NE(second, std::string::npos);
  EXPECT_NE(ran.out.find("web   125       0", second), std::string::npos) << ran.out;
  EXPECT_EQ(daemon.run({"-j", "stats", "watch"}).code, 2);
}

TEST(TfoctlDaemon, VipList) {
  FakeDaemon daemon;
  daemon.answer(
      "vips",
      {{"vips",
        {{{"name", "web"},
          {"addresses", {"192.0.2.10", "2001:db8::10"}},
          {"ports", {80, 443}},
          {"pool", "farm"},
          {"mode", "observe"},
          {"guard",
           {{"address_limit", 8}, {"limit", 32}, {"site_limit", nullptr}, {"vip_limit", 128}}}},
         {{"name", "any"},
          {"addresses", {"192.0.2.11"}},
          {"ports", json::array()},
          {"pool", "farm"},
          {"mode", "observe"}}}}});
  const Ran ran = daemon.run({"vip", "list"});
  EXPECT_NE(ran.out.find("80 443  192.0.2.10 2001:db8::10"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("any     192.0.2.11"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("8/32/-/128"), std::string::npos) << ran.out;
}

json keys_of(const Words& pools) {
  json all = {{"pools", json::array()}};
  for (const std::string& pool : pools) {
    all["pools"].push_back({{"name", pool},
                            {"generations",
                             {{{"id", "00000000000000aa"},
                               {"fingerprint", "1a2b3c4d"},
                               {"place", "current"},
                               {"created_at", 1700000000},
                               {"not_after", 0}}}}});
  }
  return all;
}

TEST(TfoctlDaemon, KeyShow) {
  FakeDaemon daemon;
  daemon.answer("keys", keys_of({"web", "api"}));
  const Ran all = daemon.run({"key", "show"});
  EXPECT_NE(all.out.find("pool web"), std::string::npos);
  EXPECT_NE(all.out.find("1a2b3c4d     current  2023-11-14 22:13:20Z  never"), std::string::npos)
      << all.out;
  const Ran one = daemon.run({"-j", "key", "show", "api"});
  EXPECT_EQ(json::parse(one.out), keys_of({"api"}));
  EXPECT_EQ(daemon.run({"key", "show", "none"}).code, 2);
}

TEST(TfoctlDaemon, ThePoolMayBeLeftOutIfThereIsOne) {
  FakeDaemon daemon;
  daemon.answer("keys", keys_of({"web"}));
  daemon.answer("key-rotate", {{"pool", "web"}});
  const Ran only = daemon.run({"key", "rotate"});
  EXPECT_EQ(only.code, 0);
  EXPECT_NE(only.out.find("`tfoctl status` tells how it goes"), std::string::npos) << only.out;
  EXPECT_EQ(daemon.request("key-rotate")["pool"], "web");
  EXPECT_EQ(daemon.run({"key", "rotate", "api"}).code, 0);
  EXPECT_EQ(daemon.request("key-rotate")["pool"], "api");
  daemon.answer("keys", keys_of({"web", "api"}));
  const Ran which = daemon.run({"key", "rotate"});
  EXPECT_EQ(which.code, 2);
  EXPECT_NE(which.err.find("web api"), std::string::npos) << which.err;
}

TEST(TfoctlDaemon, ImportSendsTheKeysAndPrintsNone) {
  const std::string first = "00112233-44556677-8899aabb-ccddeeff";
  const std::string second = "0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";
  FakeDaemon daemon;
  daemon.answer("key-import", {{"pool", "web"}});
  const Ran ran =
      daemon.run({"key", "import", "web", "--key-file", "-"}, first + "\n" + second + "\n");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(daemon.request("key-import")["keys"], (json{first, second}));
  EXPECT_EQ((ran.out + ran.err).find("00112233"), std::string::npos);
  const Ran bad =
      daemon.run({"key", "import", "web", "--key-file", "-"}, first + "\n" + second + "0\n");
  EXPECT_EQ(bad.code, 2);
  EXPECT_NE(bad.err.find("line 2"), std::string::npos) << bad.err;
  EXPECT_EQ(bad.err.find("4b5a6978"), std::string::npos) << bad.err;
}

TEST(TfoctlDaemon, ExportPrintsWhatImportReads) {
  const std::string first = "00112233-44556677-8899aabb-ccddeeff";
  const std::string second = "0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";
  FakeDaemon daemon;
  daemon.answer("key-export", {{"pool", "web"}, {"keys", first + "," + second}});
  EXPECT_EQ(daemon.run({"key", "export", "web"}).out, first + "\n" + second + "\n");
  EXPECT_EQ(json::parse(daemon.run({"-j", "key", "export", "web"}).out),
            (json{{"pool", "web"}, {"keys", {first, second}}}));
}

TEST(TfoctlDaemon, DetachAsksTheDaemonAndNamesTheInterfaces) {
  FakeDaemon daemon;
  daemon.answer("status", kStatus);
  daemon.answer("detach", {{"interfaces", {"eth7", "eth8"}}});
  const Ran ran = daemon.run({"detach"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "detached from eth7\ndetached from eth8\n");
  const json document = json::parse(daemon.run({"detach", "-j"}).out);
  EXPECT_EQ(document["interfaces"], (json{"eth7", "eth8"}));
  EXPECT_EQ(document["by"], "tfod");
  EXPECT_EQ(document["instance"], "edge");
  const Ran other = daemon.run({"detach", "--instance", "core"});
  EXPECT_EQ(other.code, 2) << "another instance stays on the wire";
}

TEST(TfoctlDaemon, ErrorsOfTheDaemonAreShown) {
  FakeDaemon daemon;
  daemon.raw("stats", "{\"ok\": false, \"error\": \"no XDP here\"}\n");
  const Ran ran = daemon.run({"-j", "stats"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("no XDP here"), std::string::npos) << ran.err;
}

TEST(TfoctlDaemon, StrangersAndBrokenRepliesAreErrors) {
  FakeDaemon daemon;
  for (const char* reply : {"", "\n", "hello\n", "[]\n", "{\"ok\": 1}\n", "{\"ok\": true"}) {
    daemon.raw("status", reply);
    const Ran ran = daemon.run({"status"});
    EXPECT_EQ(ran.code, 2) << reply;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find(daemon.path()), std::string::npos) << ran.err;
  }
}

TEST(TfoctlDaemon, TextFromOutsideCannotRewriteTheTerminal) {
  FakeDaemon daemon;
  json status = kStatus;
  status["instance"] = "a\033[2Jb";
  status["interfaces"][0]["name"] = "e\033]0;x\007";
  daemon.answer("status", status);
  EXPECT_EQ(daemon.run({"status"}).out.find('\033'), std::string::npos);
}

}  // namespace
