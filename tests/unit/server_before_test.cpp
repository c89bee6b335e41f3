// SPDX-License-Identifier: BSD-2-Clause
// What the servers held before tfod, as it is kept in a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "loader/keys/private_file.h"
#include "loader/server/before.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kKey[] = "a0bf63f7-ed803d81-cd641d30-cebc4a90";
constexpr char kAdvice[] = "replace the keys";

class ServerBefore : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tfo-before-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path() const { return directory_ / "state" / "test.servers"; }
  fs::path directory_;
};

BeforeState sample() {
  const std::string two = std::string(kKey) + "," + "00112233-44556677-8899aabb-ccddeeff";
  return {
      .boot_id = "boot",
      .namespaces = {{.netns = "", .cookie = 1, .keys = *Key::parse_list(two), .server_bit = true},
                     {.netns = "/run/netns/a", .cookie = ~0ULL, .keys = {}, .server_bit = false}}};
}

std::string text_of(const BeforeState& state) { return std::string(encode_before(state).c_str()); }

TEST_F(ServerBefore, ComesBackAsItWent) {
  const auto back = decode_before(encode_before(sample()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->boot_id, "boot");
  ASSERT_EQ(back->namespaces.size(), 2U);
  EXPECT_EQ(back->namespaces[0].keys, sample().namespaces[0].keys);
  EXPECT_TRUE(back->namespaces[0].server_bit);
  EXPECT_EQ(back->namespaces[1].netns, "/run/netns/a");
  EXPECT_EQ(back->namespaces[1].cookie, ~0ULL);
  EXPECT_TRUE(back->namespaces[1].keys.empty());
}

TEST_F(ServerBefore, NothingMalformedOrZeroIsEverTaken) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = text_of(sample());
    text.replace(text.find(from), from.size(), to);
    return decode_before(text);
  };
  for (const char* bad :
       {"00000000-00000000-00000000-00000000", "a0bf63f7-ed803d81-cd641d30", "x",
        "a0bf63f7-ed803d81-cd641d30-cebc4a90,a0bf63f7-ed803d81-cd641d30-cebc4a91"}) {
    const auto state = with(kKey, bad);
    ASSERT_FALSE(state) << bad;
    EXPECT_THAT(state.error().message, testing::Not(HasSubstr("ed803d81")));
  }
  EXPECT_FALSE(with("\"version\": 1", "\"version\": 2"));
  EXPECT_FALSE(with("\"cookie\": 1", "\"cookie\": \"1\""));
  EXPECT_FALSE(with("\"server_bit\": true", "\"bit\": true"));
  EXPECT_FALSE(decode_before(""));
  EXPECT_FALSE(decode_before("{"));
  EXPECT_FALSE(decode_before("[]"));
}

TEST_F(ServerBefore, TheFileIsForTheOwnerOnlyAndReplacedAsAWhole) {
  ASSERT_TRUE(write_private_file(path(), "one"));
  ASSERT_TRUE(write_private_file(path(), "two"));
  struct stat info{};
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_FALSE(fs::exists(path() + ".new"));
  const auto text = read_private_file(path(), 100, kAdvice);
  ASSERT_TRUE(text && *text);
  EXPECT_EQ(std::string_view(**text), "two");
  ASSERT_TRUE(remove_private_file(path()));
  EXPECT_TRUE(remove_private_file(path()));
  const auto none = read_private_file(path(), 100, kAdvice);
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
}

TEST_F(ServerBefore, AFileThatOthersCouldReadOrThatIsNoneIsRefused) {
  ASSERT_TRUE(write_private_file(path(), "one"));
  EXPECT_FALSE(read_private_file(path(), 2, kAdvice)) << "too big";
  ASSERT_EQ(chmod(path().c_str(), 0640), 0);
  EXPECT_THAT(read_private_file(path(), 100, kAdvice).error().message,
              AllOf(HasSubstr(path()), HasSubstr(kAdvice)));
  const std::string link = directory_ / "link";
  fs::create_symlink(path(), link);
  EXPECT_FALSE(read_private_file(link, 100, kAdvice));
  EXPECT_FALSE(read_private_file(directory_, 100, kAdvice));
}

}  // namespace
}  // namespace tfo
