// SPDX-License-Identifier: BSD-2-Clause
// What holds for every capture, sound or damaged.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "loader/capture/writer.h"
#include "tests/support/capture_mutant.h"
#include "tests/support/capture_read.h"
#include "tests/support/capture_sample.h"
#include "tests/support/options.h"

namespace tfo::test {
namespace {

constexpr uint64_t kSamples = 60;
constexpr size_t kMutants = 10'000;
constexpr size_t kMutantsPerFile = 200;  // of what is written again: each file costs an fsync()

SampleShape shape_of(uint64_t i) {
  return {.pcapng = i % 3 != 0, .mixed_orders = i % 2 == 0, .frames = 1 + i % 30};
}

TEST(CaptureProperty, SoundCapturesAreReadWhole) {
  const uint64_t seed = test_seed();
  for (uint64_t i = 0; i < kSamples; ++i) {
    const BuiltCapture built = sample_capture(seed + i, shape_of(i));
    const ReadCapture read = read_capture(built.file);
    ASSERT_EQ(read.error, "") << i;
    ASSERT_EQ(read.frames, built.owned_frames()) << i;
    ASSERT_EQ(read.interfaces, built.interfaces) << i;
    ASSERT_EQ(read.format, built.pcapng ? "pcapng" : "pcap");
  }
}

TEST(CaptureProperty, ByteOrderMakesNoDifference) {
  const uint64_t seed = test_seed();
  for (uint64_t i = 0; i < kSamples; ++i) {
    SampleShape shape = shape_of(i);
    const BuiltCapture little = sample_capture(seed + i, shape);
    shape.order = std::endian::big;
    const BuiltCapture big = sample_capture(seed + i, shape);
    ASSERT_NE(little.file, big.file) << i;
    ASSERT_EQ(read_capture(little.file).frames, read_capture(big.file).frames) << i;
  }
}

TEST(CaptureProperty, CutCaptureGivesItsWholeFramesThenAnError) {
  const uint64_t seed = test_seed();
  Random random(seed);
  for (uint64_t i = 0; i < 10 * kSamples; ++i) {
    const BuiltCapture built = sample_capture(seed + i % kSamples, shape_of(i % kSamples));
    const bool anywhere = random.one_in(2);
    const size_t size = anywhere ? random.below(built.file.size())
                                 : random.pick(built.records).begin + random.below(3);
    const ReadCapture read = read_capture(View(built.file).first(size));
    std::vector<OwnedFrame> whole;
    for (const BuiltFrame& frame : built.frames) {
      if (frame.end <= size) whole.push_back(frame.frame);
    }
    ASSERT_EQ(read.frames, whole) << i << " cut to " << size;
    const bool at_record = size > 0 && std::any_of(built.records.begin(), built.records.end(),
                                                   [&](const auto& r) { return r.begin == size; });
    ASSERT_EQ(read.error.empty(), at_record) << i << " cut to " << size << ": " << read.error;
  }
}

/// Writes what was read of many captures into one, and reads that.
class Rewritten {
 public:
  explicit Rewritten(const std::string& path)
      : path_(path), writer_(CaptureWriter::create(path, "property test")) {}

  void add(const ReadCapture& read) {
    ASSERT_TRUE(writer_) << writer_.error().message;
    const auto first = static_cast<uint32_t>(interfaces_.size());
    for (const CaptureInterface& interface : read.interfaces) {
      ASSERT_TRUE(writer_->add_interface(interface));
      interfaces_.push_back(interface);
    }
    for (OwnedFrame owned : read.frames) {
      owned.interface += first;
      owned.number = frames_.size() + 1;
      const CapturedFrame frame{owned.number, owned.time_ns, owned.interface, owned.wire_length,
                                {},           owned.flags};
      ASSERT_TRUE(writer_->add(frame, owned.bytes, frames_.size() % 5 == 0 ? "comment" : ""));
      frames_.push_back(std::move(owned));
    }
  }

  void expect_same() {
    const auto done = writer_->commit();
    ASSERT_TRUE(done) << done.error().message;
    auto reader = CaptureReader::open(path_);
    ASSERT_TRUE(reader) << reader.error().message;
    const size_t size = reader->file_size().value_or(0);
    const ReadCapture again = read_to_end(std::move(*reader), size);
    ASSERT_EQ(again.error, "");
    ASSERT_EQ(again.frames, frames_);
    ASSERT_EQ(again.interfaces, interfaces_);
  }

 private:
  std::string path_;
  Result<CaptureWriter> writer_;
  std::vector<OwnedFrame> frames_;
  std::vector<CaptureInterface> interfaces_;
};

TEST(CaptureProperty, MutantsEndAndWhatStandsBeforeTheDamageIsRead) {
  const uint64_t seed = test_seed();
  CaptureMutants mutants(seed);
  const CaptureDirectory directory;
  size_t clean = 0;
  size_t refused = 0;
  size_t frames = 0;
  for (size_t i = 0; i < kMutants;) {
    Rewritten rewritten(directory.file("out.pcapng"));
    for (size_t end = i + kMutantsPerFile; i < end; ++i) {
      const CaptureMutant mutant = mutants.next();
      SCOPED_TRACE("mutant " + std::to_string(i) + ": " + mutant.what);
      const ReadCapture read = read_capture(mutant.file);
      const std::vector<OwnedFrame> intact = mutant.intact_frames();
      ASSERT_GE(read.frames.size(), intact.size()) << read.error;
      ASSERT_TRUE(std::equal(intact.begin(), intact.end(), read.frames.begin()));
      ASSERT_NO_FATAL_FAILURE(rewritten.add(read));
      ASSERT_FALSE(testing::Test::HasFailure());
      clean += read.error.empty() ? 1 : 0;
      refused += read.format.empty() ? 1 : 0;
      frames += read.frames.size();
    }
    ASSERT_NO_FATAL_FAILURE(rewritten.expect_same()) << "the files before mutant " << i;
  }
  std::printf("%zu clean, %zu with an error, %zu not opened, %zu frames\n", clean,
              kMutants - clean - refused, refused, frames);
  EXPECT_GT(clean, kMutants / 20);
  EXPECT_GT(refused, kMutants / 50);
  EXPECT_GT(kMutants - clean - refused, kMutants / 5);
  EXPECT_GT(frames, 3 * kMutants);
}

}  // namespace
}  // namespace tfo::test
