// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/capture_read.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>

namespace tfo::test {
namespace {

constexpr size_t kSmallestRecord = 16;  // a pcap record, a Simple Packet Block

void expect_sane(const CaptureReader& reader, const CapturedFrame& frame, uint64_t last_number) {
  EXPECT_GT(frame.number, last_number);
  EXPECT_LT(frame.interface, reader.interfaces().size());
  EXPECT_GE(frame.wire_length, frame.bytes.size());
  EXPECT_LE(frame.bytes.size(), 262'144u);
}

}  // namespace

int memory_file(View bytes) {
  const int fd = memfd_create("capture", MFD_CLOEXEC);
  size_t done = 0;
  while (fd >= 0 && done < bytes.size()) {
    const ssize_t written =
        pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (written <= 0) std::abort();
    done += static_cast<size_t>(written);
  }
  return fd;
}

ReadCapture read_to_end(CaptureReader reader, size_t file_size) {
  ReadCapture result;
  result.format = reader.format();
  const size_t most = file_size / kSmallestRecord + 1;
  for (size_t calls = 0; calls <= most; ++calls) {
    const auto frame = reader.next();
    if (!frame || !frame->has_value()) {
      result.error = frame ? "" : frame.error().message;
      result.interfaces = reader.interfaces();
      const auto again = reader.next();
      EXPECT_EQ(again ? "" : again.error().message, result.error);
      EXPECT_FALSE(again && again->has_value());
      EXPECT_LE(reader.bytes_read(), file_size);
      return result;
    }
    const CapturedFrame& got = **frame;
    expect_sane(reader, got, result.frames.empty() ? 0 : result.frames.back().number);
    result.frames.push_back({got.number, got.time_ns, got.interface, got.wire_length,
                             Bytes(got.bytes.begin(), got.bytes.end()), got.flags});
  }
  ADD_FAILURE() << "no end after " << most << " frames of " << file_size << " bytes";
  return result;
}

ReadCapture read_capture(View file) {
  auto reader = CaptureReader::adopt(memory_file(file), "test capture");
  if (!reader)
    return {.frames = {}, .interfaces = {}, .format = "", .error = reader.error().message};
  return read_to_end(std::move(*reader), file.size());
}

std::string capture_error(View file) { return read_capture(file).error; }

CaptureDirectory::CaptureDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tfo-capture-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

CaptureDirectory::~CaptureDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string CaptureDirectory::write(const std::string& name, View bytes) const {
  const std::string path = file(name);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(out.flush()) << path;
  return path;
}

std::vector<std::string> CaptureDirectory::names() const {
  std::vector<std::string> result;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    result.push_back(entry.path().filename());
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace tfo::test
