// SPDX-License-Identifier: BSD-2-Clause
#include "tests/farm/clocked/offset_clock.h"

#include <sys/inotify.h>

#include <cmath>
#include <fstream>
#include <string>

namespace tfo::test {
namespace {

constexpr int64_t kSecond = 1'000'000'000;  // ns

struct Offset {
  int64_t wall_ns = 0;
  int64_t asleep_ns = 0;
  bool synchronised = true;
};

Offset read_offset(const std::filesystem::path& path) {
  std::ifstream file(path);
  Offset offset;
  std::string word;
  for (int64_t* to : {&offset.wall_ns, &offset.asleep_ns}) {
    double seconds = 0;
    if (!(file >> seconds)) break;
    *to = std::llround(seconds * static_cast<double>(kSecond));
  }
  file.clear();
  while (file >> word) offset.synchronised = offset.synchronised && word != "unsynchronised";
  return offset;
}

}  // namespace

OffsetClock::OffsetClock(std::filesystem::path file)
    : file_(std::move(file)), changes_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  inotify_add_watch(changes_.get(), file_.parent_path().c_str(), IN_CLOSE_WRITE | IN_MOVED_TO);
}

Moment OffsetClock::now() const {
  const Offset offset = read_offset(file_);
  Moment moment = system_.now();
  const int64_t wall = moment.unix_s * kSecond + moment.unix_ns + offset.wall_ns + offset.asleep_ns;
  moment.unix_s = wall / kSecond;
  moment.unix_ns = static_cast<int32_t>(wall % kSecond);
  moment.boot_s += offset.asleep_ns / kSecond;
  moment.synchronised = offset.synchronised;
  return moment;
}

int64_t OffsetClock::boot_offset_ns() const {
  const Offset offset = read_offset(file_);
  return system_.boot_offset_ns() + offset.wall_ns + offset.asleep_ns;
}

}  // namespace tfo::test
