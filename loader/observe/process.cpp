// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace tfo {
namespace {

/// Fields of /proc/self/stat behind the name of the program, which may hold blanks (proc(5)).
enum : size_t {
  kUserTime = 11,
  kSystemTime = 12,
  kThreadCount = 17,
  kVirtual = 20,
  kResident = 21
};

void read_stat(ProcessView& view) {
  std::ifstream file("/proc/self/stat");
  std::string text;
  if (!std::getline(file, text)) return;
  std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
  if (fields.size() <= kResident) return;
  const auto number = [&](size_t field) {
    return std::strtoull(fields[field].c_str(), nullptr, 10);
  };
  view.cpu_seconds = static_cast<double>(number(kUserTime) + number(kSystemTime)) /
                     static_cast<double>(sysconf(_SC_CLK_TCK));
  view.threads = number(kThreadCount);
  view.virtual_bytes = number(kVirtual);
  view.resident_bytes = number(kResident) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

ProcessView read_process() {
  ProcessView view;
  read_stat(view);
  std::error_code failed;
  std::filesystem::directory_iterator fds("/proc/self/fd", failed);
  // Less the one that lists them.
  if (!failed) view.open_fds = static_cast<uint64_t>(std::distance(begin(fds), end(fds))) - 1;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) view.max_fds = limit.rlim_cur;
  return view;
}

}  // namespace tfo
