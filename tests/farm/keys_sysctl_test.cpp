// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "loader/keys/file_store.h"
#include "loader/keys/pool.h"
#include "loader/keys/sysctl_sink.h"
#include "tests/support/sandbox.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

/// A named network namespace that goes with this object.
class NamedNetns {
 public:
  explicit NamedNetns(const std::string& tag) : name_(fmt::format("tfo-{}-{}", tag, getpid())) {
    made_ = test::shell("ip netns add " + name_);
  }
  NamedNetns(const NamedNetns&) = delete;
  NamedNetns& operator=(const NamedNetns&) = delete;
  ~NamedNetns() { remove(); }

  bool made() const { return made_; }
  const std::string& name() const { return name_; }
  void remove() {
    if (made_) {
      made_ = !test::shell("ip netns delete " + name_);
    }
  }
  bool set_key(const std::string& text) const {
    return test::shell("ip netns exec " + name_ + " sysctl -qw net.ipv4.tcp_fastopen_key=" + text);
  }

 private:
  std::string name_;
  bool made_ = false;
};

KeyRing two_keys() {
  KeyRing ring;
  ring.revision = 1;
  ring.generations = {{.id = 1, .key = Key::random(), .place = TFO_PLACE_CURRENT},
                      {.id = 2, .key = Key::random(), .place = TFO_PLACE_PREVIOUS}};
  return ring;
}

class KeysSysctl : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "needs root to make network namespaces";
    }
  }
};

TEST_F(KeysSysctl, WritesInItsNamespaceOnly) {
  const NamedNetns here("here");
  const NamedNetns there("there");
  ASSERT_TRUE(here.made() && there.made());
  auto sink = SysctlSink::open(here.name());
  auto other = SysctlSink::open("/run/netns/" + there.name());
  auto own = SysctlSink::open();
  ASSERT_TRUE(sink) << sink.error().message;
  ASSERT_TRUE(other) << other.error().message;
  ASSERT_TRUE(own) << own.error().message;
  const auto own_before = (*own)->held();
  EXPECT_THAT(*(*sink)->held(), IsEmpty()) << "a new namespace has no key";

  KeyRing ring = two_keys();
  const auto applied = (*sink)->apply(ring);
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ((*sink)->held()->size(), 2U);
  EXPECT_EQ((*sink)->held()->at(0), ring.current()->key);
  EXPECT_EQ((*sink)->held()->at(1), ring.previous()->key);
  EXPECT_THAT(*(*other)->held(), IsEmpty());
  EXPECT_EQ(*(*own)->held(), *own_before);

  ring.generations.pop_back();
  ASSERT_TRUE((*sink)->apply(ring)) << "one key alone drops the backup";
  EXPECT_EQ((*sink)->held()->size(), 1U);
}

TEST_F(KeysSysctl, NoticesWhatSomebodyElseWrote) {
  const NamedNetns netns("drift");
  ASSERT_TRUE(netns.made());
  auto sink = SysctlSink::open(netns.name());
  ASSERT_TRUE(sink);
  const KeyRing ring = two_keys();
  ASSERT_TRUE((*sink)->apply(ring));
  ASSERT_TRUE(netns.set_key("00000000-00000000-00000000-00000001"));
  EXPECT_THAT((*sink)->verify(ring).error().message,
              AllOf(HasSubstr(netns.name()), HasSubstr(ring.current()->key.fingerprint())));
  ASSERT_TRUE((*sink)->apply(ring));
  EXPECT_TRUE((*sink)->verify(ring));
}

TEST_F(KeysSysctl, SaysWhenItsNamespaceWasDeleted) {
  NamedNetns netns("gone");
  ASSERT_TRUE(netns.made());
  auto sink = SysctlSink::open(netns.name());
  ASSERT_TRUE(sink);
  ASSERT_TRUE((*sink)->apply(two_keys()));
  EXPECT_FALSE((*sink)->gone());
  netns.remove();
  const KeyRing ring = two_keys();
  // The kernel tears a namespace down in the background.
  EXPECT_TRUE(test::wait_until([&] { return !(*sink)->apply(ring); }));
  EXPECT_TRUE((*sink)->gone());
}

bool keep_only_net_admin() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  data[0].effective = data[0].permitted = 1U << CAP_NET_ADMIN;
  return syscall(SYS_capset, &header, data) == 0;
}

/// In a process of its own: 0 if all went as it should, else the number of the step that did not.
int write_without_privileges(const std::string& netns, uid_t uid) {
  auto sink = SysctlSink::open(netns);
  if (!sink) {
    return 1;
  }
  if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setgroups(0, nullptr) != 0 ||
      setresuid(uid, uid, uid) != 0 || !keep_only_net_admin()) {
    return 2;
  }
  const auto again = SysctlSink::open(netns);
  if (again || again.error().message.find("CAP_SYS_ADMIN") == std::string::npos) {
    return 3;
  }
  for (int i = 0; i < 3; ++i) {
    const KeyRing ring = two_keys();
    if (!(*sink)->apply(ring) || !(*sink)->verify(ring)) {
      return 4;
    }
  }
  return 0;
}

TEST_F(KeysSysctl, TheDescriptorWorksAfterPrivilegesAreDropped) {
  const NamedNetns netns("caps");
  ASSERT_TRUE(netns.made());
  for (const uid_t uid : {0U, 65534U}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      _exit(write_without_privileges(netns.name(), uid));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "uid " << uid;
  }
}

TEST_F(KeysSysctl, OnePoolKeepsSeveralNamespacesInStep) {
  const NamedNetns a("a");
  const NamedNetns b("b");
  ASSERT_TRUE(a.made() && b.made());
  for (const NamedNetns* netns : {&a, &b}) {
    ASSERT_TRUE(netns->set_key("00112233-44556677-8899aabb-ccddeeff"));
  }
  std::string directory = (fs::temp_directory_path() / "tfo-keys-XXXXXX").string();
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const SystemClock clock;
  KeyPool pool("web", std::make_unique<FileStore>(directory + "/keys", Rotation(RotationPolicy())),
               clock, [](const KeyCondition& condition) { EXPECT_EQ(condition.evidence, ""); });
  std::vector<KeySink*> sinks;
  for (const NamedNetns* netns : {&a, &b}) {
    auto sink = SysctlSink::open(netns->name());
    ASSERT_TRUE(sink) << sink.error().message;
    sinks.push_back(sink->get());
    pool.add_sink(std::move(*sink));
  }
  ASSERT_TRUE(pool.start());
  EXPECT_EQ(pool.ring().current()->key, *Key::parse("00112233-44556677-8899aabb-ccddeeff"))
      << "what they held already";
  for (int i = 0; i < 10; ++i) {
    const Key before = pool.ring().current()->key;
    ASSERT_TRUE(pool.rotate());
    for (KeySink* sink : sinks) {
      const auto held = sink->held();
      ASSERT_EQ(held->size(), 2U);
      EXPECT_EQ(held->at(0), pool.ring().current()->key);
      EXPECT_EQ(held->at(1), before);
    }
  }
  fs::remove_all(directory);
}

}  // namespace
}  // namespace tfo
