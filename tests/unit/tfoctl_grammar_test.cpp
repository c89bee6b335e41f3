// SPDX-License-Identifier: BSD-2-Clause
// The shape of tfoctl's command line: OBJECT COMMAND, whole words, help everywhere.
#include <gtest/gtest.h>

#include "tests/support/tfoctl_run.h"

namespace {

using tfo::test::Ran;
using tfo::test::run_tfoctl;
using Words = std::vector<std::string>;

const std::vector<Words>& all_commands() {
  static const std::vector<Words> all = {
      {"status"},
      {"stats"},
      {"stats", "watch"},
      {"vip"},
      {"vip", "list"},
      {"guard"},
      {"guard", "list"},
      {"guard", "release"},
      {"guard", "deny"},
      {"guard", "allow"},
      {"alert"},
      {"alert", "list"},
      {"alert", "show"},
      {"alert", "follow"},
      {"key"},
      {"key", "show"},
      {"key", "rotate"},
      {"key", "import"},
      {"key", "export"},
      {"cookie"},
      {"cookie", "make"},
      {"cookie", "check"},
      {"detach"},
      {"bench"},
      {"replay"},
      {"explain"},
      {"key", "audit"},
      {"key", "derive"},
      {"key", "revoke"},
      {"key", "abort"},
      {"key", "history"},
      {"node"},
      {"node", "list"},
      {"node", "forget"},
      {"farm"},
      {"farm", "init"},
      {"farm", "new-line"},
      {"farm", "rekey"},
      {"farm", "adopt"},
  };
  return all;
}

TEST(TfoctlGrammar, HelpWithExamplesAtEveryLevel) {
  for (const char* flag : {"--help", "-h"}) {
    EXPECT_NE(run_tfoctl({flag}).out.find("Exit codes"), std::string::npos);
    for (Words words : all_commands()) {
      std::string path = "tfoctl";
      for (const std::string& word : words) path += " " + word;
      SCOPED_TRACE(path);
      words.emplace_back(flag);
      const Ran ran = run_tfoctl(words);
      EXPECT_EQ(ran.code, 0);
      EXPECT_EQ(ran.err, "");
      EXPECT_NE(ran.out.find("Usage: " + path), std::string::npos) << ran.out;
      EXPECT_NE(ran.out.find("Examples:\n  "), std::string::npos) << ran.out;
      EXPECT_NE(ran.out.find("--json"), std::string::npos) << ran.out;
    }
  }
}

TEST(TfoctlGrammar, Version) {
  const Ran ran = run_tfoctl({"--version"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, std::string("tfoctl ") + TFO_VERSION + "\n");
}

TEST(TfoctlGrammar, AWordThatIsNoneIsNamedWithThoseThatAre) {
  const Ran object = run_tfoctl({"keys", "show"});
  EXPECT_EQ(object.code, 2);
  EXPECT_NE(object.err.find("what is 'keys'?"), std::string::npos) << object.err;
  EXPECT_NE(object.err.find("status stats top vip guard alert key node farm cookie detach bench"),
            std::string::npos);
  const Ran command = run_tfoctl({"key", "delete"});
  EXPECT_EQ(command.code, 2);
  EXPECT_NE(command.err.find("what is 'delete'?"), std::string::npos) << command.err;
  EXPECT_NE(command.err.find("show rotate revoke abort history import export"), std::string::npos)
      << command.err;
}

TEST(TfoctlGrammar, NoAbbreviations) {
  for (const Words& words : {Words{"stat"},
                             {"st"},
                             {"k", "show"},
                             {"key", "sho"},
                             {"cook"},
                             {"status", "--js"},
                             {"Status"}}) {
    const Ran ran = run_tfoctl(words);
    EXPECT_EQ(ran.code, 2) << words.front();
    EXPECT_EQ(ran.out, "");
  }
}

TEST(TfoctlGrammar, WrongUsageIsAlwaysTwoAndPointsToTheHelp) {
  for (const Words& words : std::vector<Words>{{},
                                               {"key"},
                                               {"vip"},
                                               {"cookie"},
                                               {"status", "stats"},
                                               {"vip", "list", "extra"},
                                               {"key", "import"},
                                               {"key", "revoke"},
                                               {"key", "rotate", "--wait", "--timeout", "0"},
                                               {"node"},
                                               {"node", "forget"},
                                               {"farm"},
                                               {"farm", "init", "web", "extra"},
                                               {"stats", "--vip"},
                                               {"stats", "watch", "--interval", "soon"},
                                               {"bench", "--runs", "0"},
                                               {"bench", "--packets", "1000000"},
                                               {"bench", "--family", "5"},
                                               {"--instance", "a/b", "status"},
                                               {"--instance", "..", "detach"},
                                               {"--nonsense"}}) {
    const Ran ran = run_tfoctl(words);
    EXPECT_EQ(ran.code, 2) << (words.empty() ? "" : words.back());
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find("--help`"), std::string::npos) << ran.err;
  }
}

TEST(TfoctlGrammar, ExamplesThatWriteKeysCloseTheFileFirst) {
  for (const Words& words : {Words{"key", "--help"}, {"key", "export", "--help"}}) {
    const std::string out = run_tfoctl(words).out;
    EXPECT_NE(out.find("umask 077; tfoctl key export web > "), std::string::npos) << out;
  }
}

TEST(TfoctlGrammar, BenchNamesItsCases) {
  const std::string help = run_tfoctl({"bench", "--help"}).out;
  for (const char* part : {"cookie_valid_other_order  cookie_valid with the TCP options in another",
                           "syn_not_vip", "cookie_request"}) {
    EXPECT_NE(help.find(part), std::string::npos) << help;
  }
  const Ran ran = run_tfoctl({"bench", "--case", "fast"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("cookie_invalid_4"), std::string::npos) << ran.err;
}

TEST(TfoctlGrammar, WithoutADaemonItSaysWhereItLookedAndHowToStartOne) {
  const std::string socket = "/nonexistent/tfoguard.sock";
  for (Words words : {Words{"status"},
                      {"stats"},
                      {"stats", "watch"},
                      {"vip", "list"},
                      {"key", "show"},
                      {"key", "rotate", "web"},
                      {"key", "export"},
                      {"key", "rotate", "web", "--wait"},
                      {"key", "revoke", "1122334455667788"},
                      {"key", "abort"},
                      {"key", "history", "web"},
                      {"node", "list"},
                      {"node", "forget", "s1"},
                      {"farm", "rekey"},
                      {"farm", "adopt", "web"},
                      {"-j", "status"}}) {
    words.insert(words.begin(), {"--socket", socket});
    const Ran ran = run_tfoctl(words);
    EXPECT_EQ(ran.code, 2) << words.back();
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find(socket), std::string::npos) << ran.err;
    if (words.size() != 4 || words[3] != "watch") {
      EXPECT_NE(ran.err.find("tfod --config"), std::string::npos) << ran.err;
    }
  }
}

}  // namespace
