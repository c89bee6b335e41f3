// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "loader/keys/file_store.h"
#include "loader/keys/keyring_file.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr RotationPolicy kByHand{.interval = 0, .accept_generations = 4, .not_after = 0};
const Moment kNow{.unix_s = 1'790'000'000, .boot_s = 100, .boot_id = "boot"};

class KeyringFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tfo-keys-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ / "web.keys";
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  void write(const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path_) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  static RotationState sample() {
    RotationState state =
        *Rotation(kByHand).first(kNow, {Key::random(), Key::random(), Key::random()});
    state.import_order = {state.ring.generations[0].id};
    return state;
  }
  std::string load_error() const { return KeyringFile(path_).load().error().message; }
  static mode_t mode_of(const fs::path& path) {
    struct stat info{};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  fs::path directory_;
  fs::path path_;
};

TEST_F(KeyringFileTest, KeepsEverything) {
  RotationState state = *Rotation(kByHand).rotate(sample(), kNow);
  state.import_order = {state.ring.staged()->id, state.ring.current()->id};
  const auto read = decode_keyring(encode_keyring(state));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->ring.phase, Phase::staged);
  EXPECT_EQ(read->ring.revision, state.ring.revision);
  EXPECT_EQ(read->rotated_at, state.rotated_at);
  EXPECT_EQ(read->import_order, state.import_order);
  EXPECT_EQ(read->anchor.unix_s, kNow.unix_s);
  EXPECT_EQ(read->anchor.boot_s, kNow.boot_s);
  EXPECT_EQ(read->anchor.boot_id, kNow.boot_id);
  ASSERT_EQ(read->ring.generations.size(), state.ring.generations.size());
  for (size_t i = 0; i < state.ring.generations.size(); ++i) {
    const Generation& a = read->ring.generations[i];
    const Generation& b = state.ring.generations[i];
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.key, b.key);
    EXPECT_EQ(a.place, b.place);
    EXPECT_EQ(a.created_at, b.created_at);
    EXPECT_EQ(a.not_after, b.not_after);
  }
}

TEST_F(KeyringFileTest, EveryTruncationAndEveryFlippedDigitIsNoticed) {
  const RotationState state = sample();
  const std::string text(encode_keyring(state));
  for (size_t size = 0; size + 2 < text.size(); ++size) {
    ASSERT_FALSE(decode_keyring(text.substr(0, size))) << size;
  }
  const std::string key = state.ring.current()->key.text().str();
  const size_t at = text.find(key);
  ASSERT_NE(at, std::string::npos);
  for (size_t i = 0; i < key.size(); ++i) {
    std::string damaged = text;
    damaged[at + i] = damaged[at + i] == '0' ? '1' : '0';
    const auto read = decode_keyring(damaged);
    ASSERT_FALSE(read) << i;
    EXPECT_THAT(read.error().message,
                AllOf(HasSubstr("generations[0].key"), Not(HasSubstr(key.substr(0, 8))),
                      Not(HasSubstr(key.substr(27)))));
  }
}

TEST_F(KeyringFileTest, EachFieldIsChecked) {
  const std::string text(encode_keyring(sample()));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    const auto read = decode_keyring(changed);
    return read ? std::string("accepted") : read.error().message;
  };
  EXPECT_THAT(with("tfoguard keyring", "other"), HasSubstr("not a tfoguard keyring"));
  EXPECT_THAT(with("\"version\": 1", "\"version\": 2"), HasSubstr("version is 2"));
  EXPECT_THAT(with("\"steady\"", "\"lively\""), HasSubstr("phase"));
  EXPECT_THAT(with("\"steady\"", "\"staged\""), HasSubstr("phase staged does not fit"));
  EXPECT_THAT(with("\"rotated_at\": 1790000000", "\"rotated_at\": \"x\""), HasSubstr("rotated_at"));
  EXPECT_THAT(with("\"current\"", "\"previous\""), HasSubstr("0 current"));
  EXPECT_THAT(with("\"current\"", "\"elsewhere\""), HasSubstr("generations[0].place"));
  EXPECT_THAT(with("\"id\": \"", "\"id\": \"0"), HasSubstr("generations[0].id"));
  EXPECT_THAT(with("\"boot_id\"", "\"boat_id\""), HasSubstr("clock.boot_id"));
  EXPECT_FALSE(decode_keyring("[]"));
  EXPECT_FALSE(decode_keyring("null"));
  EXPECT_FALSE(decode_keyring(R"({"format":"tfoguard keyring","version":1,"generations":[7]})"));
}

TEST_F(KeyringFileTest, IsPrivateFromTheFirstByteWhateverTheUmask) {
  for (const mode_t mask : {0000U, 0022U, 0077U, 0777U}) {
    const mode_t old = umask(mask);
    {
      KeyringFile file(path_);
      EXPECT_TRUE(file.lock());
      EXPECT_TRUE(file.save(sample()));
    }
    umask(old);
    EXPECT_EQ(mode_of(path_), 0600U) << mask;
    fs::remove(path_.string() + ".lock");
  }
}

TEST_F(KeyringFileTest, ALeftoverOfAKilledWriterDoesNoHarm) {
  KeyringFile file(path_);
  ASSERT_TRUE(file.lock());
  std::ofstream(path_.string() + ".new") << "half";
  ASSERT_EQ(chmod((path_.string() + ".new").c_str(), 0666), 0);
  ASSERT_TRUE(file.save(sample()));
  EXPECT_FALSE(fs::exists(path_.string() + ".new"));
  EXPECT_EQ(mode_of(path_), 0600U);
  EXPECT_TRUE(file.load());
}

TEST_F(KeyringFileTest, NoFileIsNoError) {
  const auto state = KeyringFile(path_).load();
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->has_value());
}

TEST_F(KeyringFileTest, BadFilesAreRefusedByNameAndKept) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("not json"),
        std::string(encode_keyring(sample())).substr(0, 300), std::string(70'000, ' ')}) {
    write(text);
    EXPECT_THAT(load_error(), AllOf(HasSubstr(path_.string()), HasSubstr("move it away")));
    FileStore store(path_, Rotation(kByHand));
    EXPECT_FALSE(store.open(kNow, {}));
    EXPECT_EQ(content(), text) << "nothing lost";
  }
}

TEST_F(KeyringFileTest, ReachableByOthersIsRefused) {
  for (const mode_t mode : {0644U, 0640U, 0660U, 0606U, 0610U}) {
    write(std::string(encode_keyring(sample())), mode);
    EXPECT_THAT(load_error(), AllOf(HasSubstr("chmod"), HasSubstr("0600")));
  }
  write(std::string(encode_keyring(sample())), 0400);
  EXPECT_TRUE(KeyringFile(path_).load());
}

TEST_F(KeyringFileTest, OwnedBySomebodyElseIsRefused) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root to give a file away";
  }
  write(std::string(encode_keyring(sample())));
  ASSERT_EQ(chown(path_.c_str(), 65534, 65534), 0);
  EXPECT_THAT(load_error(), AllOf(HasSubstr("uid 65534"), HasSubstr("chown")));
}

TEST_F(KeyringFileTest, OnlyRegularFiles) {
  fs::create_directory(path_);
  EXPECT_THAT(load_error(), HasSubstr("regular file"));
  fs::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(load_error(), HasSubstr("regular file"));
  fs::remove(path_);
  fs::create_symlink("/dev/null", path_);
  EXPECT_THAT(load_error(), HasSubstr("symbolic link"));
}

TEST_F(KeyringFileTest, TheDirectoryIsMadeButNotItsParents) {
  const fs::path inner = directory_ / "state" / "web.keys";
  KeyringFile file(inner);
  ASSERT_TRUE(file.lock());
  EXPECT_EQ(mode_of(inner.parent_path()), 0700U);
  KeyringFile deep(directory_ / "a" / "b" / "web.keys");
  EXPECT_THAT(deep.lock().error().message, HasSubstr("create it with mode 0700"));
}

TEST_F(KeyringFileTest, TwoProcessesCannotShareIt) {
  KeyringFile first(path_);
  ASSERT_TRUE(first.lock());
  {
    KeyringFile second(path_);
    EXPECT_THAT(second.lock().error().message,
                AllOf(HasSubstr("another process"), HasSubstr("web.keys")));
    EXPECT_FALSE(second.save(sample())) << "no lock, no write";
  }
  EXPECT_TRUE(first.save(sample()));
  EXPECT_FALSE(KeyringFile(path_).lock()) << "replacing the file does not free it";
}

TEST_F(KeyringFileTest, AFullDiskLeavesTheOldKeys) {
  FileStore store(path_, Rotation(kByHand));
  ASSERT_TRUE(store.open(kNow, {}));
  const std::string before = content();
  const uint64_t revision = store.ring().revision;
  // A file size limit fails write(2) half-way as a full disk does, without needing one.
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tiny{.rlim_cur = 100, .rlim_max = old.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tiny), 0);
  const auto rotated = store.rotate(kNow);
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(rotated);
  EXPECT_THAT(rotated.error().message, HasSubstr(path_.string()));
  EXPECT_EQ(content(), before);
  EXPECT_EQ(store.ring().revision, revision);
  EXPECT_FALSE(fs::exists(path_.string() + ".new"));
  EXPECT_TRUE(store.rotate(kNow)) << "and goes on when there is room";
}

TEST_F(KeyringFileTest, KilledAtAnyInstantItHoldsOneWholeRing) {
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      KeyringFile file(path_);
      if (!file.lock()) {
        _exit(1);
      }
      while (file.save(sample())) {
      }
      _exit(1);
    }
    while (!fs::exists(path_)) {
      usleep(100);
    }
    usleep(static_cast<useconds_t>(round) * 317);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    KeyringFile file(path_);
    ASSERT_TRUE(file.lock()) << "the kernel frees the lock";
    const auto state = file.load();
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_TRUE(state->has_value());
  }
}

TEST_F(KeyringFileTest, ARestartChangesNoKey) {
  std::string value;
  {
    FileStore store(path_, Rotation(RotationPolicy()));
    ASSERT_TRUE(store.open(kNow, {}));
    value = store.ring().sysctl_value().str();
    EXPECT_THAT(content(), HasSubstr(value)) << "durable before anybody gets it";
  }
  Moment later{.unix_s = kNow.unix_s + 3600, .boot_s = 5, .boot_id = "after a reboot"};
  FileStore store(path_, Rotation(RotationPolicy()));
  ASSERT_TRUE(store.open(later, {Key::random()}));
  EXPECT_EQ(store.ring().sysctl_value().view(), value);
}

TEST_F(KeyringFileTest, ANewStoreTakesTheHostsKeys) {
  const std::vector<Key> host = {Key::random(), Key::random()};
  FileStore store(path_, Rotation(RotationPolicy()));
  ASSERT_TRUE(store.open(kNow, host));
  EXPECT_EQ(store.ring().current()->key, host[0]);
  EXPECT_EQ(store.ring().previous()->key, host[1]);
}

}  // namespace
}  // namespace tfo
