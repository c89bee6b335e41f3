// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/capture_mutant.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tests/support/capture_sample.h"

namespace tfo::test {
namespace {

using Offset = std::ptrdiff_t;

/// One mutation after the other on one file. Offsets of records are those of the original: once a
/// mutation has moved bytes, the next one hits something else, which is as good.
class Mutator {
 public:
  Mutator(Random& random, const BuiltCapture& original, const std::vector<BuiltCapture>& all)
      : random_(random), original_(original), all_(all), file_(original.file) {}

  void mutate() {
    using Mutation = void (Mutator::*)();
    static constexpr std::array<Mutation, 15> kMutations = {
        &Mutator::truncate,     &Mutator::truncate_near_record, &Mutator::wrong_magic,
        &Mutator::absurd_snap,  &Mutator::absurd_length,        &Mutator::absurd_length,
        &Mutator::absurd_block, &Mutator::absurd_option,        &Mutator::flip_bits,
        &Mutator::other_order,  &Mutator::move_records,         &Mutator::insert_or_remove,
        &Mutator::hole,         &Mutator::append_capture,       &Mutator::zero_frame,
    };
    (this->*random_.pick(kMutations))();
  }

  Bytes take() { return std::move(file_); }
  const std::string& what() const { return what_; }

 private:
  void say(const std::string& text) { what_ += (what_.empty() ? "" : "; ") + text; }

  const BuiltRecord& record() { return random_.pick(original_.records); }

  /// Writes over what is there; nothing beyond the end.
  void put32(size_t at, uint32_t value, std::endian order) {
    FileBytes bytes(order);
    bytes.u32(value);
    for (size_t i = 0; i < 4 && at + i < file_.size(); ++i) file_[at + i] = bytes.bytes()[i];
  }

  void reverse(size_t at, size_t count) {
    if (at + count > file_.size()) return;
    std::reverse(file_.begin() + static_cast<Offset>(at),
                 file_.begin() + static_cast<Offset>(at + count));
  }

  uint32_t absurd(size_t honest) {
    const auto near = static_cast<uint32_t>(honest);
    const std::array<uint32_t, 24> values = {
        0,          1,
        3,          4,
        8,          11,
        12,         16,
        28,         0xffff,
        262'144,    262'145,
        1u << 24,   (1u << 24) + 4,
        0x7fffffff, 0x80000000,
        0xfffffff0, 0xfffffffc,
        UINT32_MAX, near - 4,
        near - 1,   near + 1,
        near + 4,   static_cast<uint32_t>(random_.below(UINT32_MAX))};
    return random_.pick(values);
  }

  void truncate() {
    const size_t size = random_.below(file_.size() + 1);
    file_.resize(size);
    say(fmt::format("cut to {} bytes", size));
  }

  void truncate_near_record() {
    const size_t size = record().begin + random_.below(33);
    file_.resize(std::min(size, file_.size()));
    say(fmt::format("cut to {} bytes, behind the beginning of a record", size));
  }

  void wrong_magic() {
    static constexpr std::array<uint32_t, 8> kMagics = {
        kPcapMagic, kPcapNanoMagic, 0x0a0d0d0a, 0xa1b2cd34, 0x1f8b0800, 0x28b52ffd, 0, 0x1a2b3c4d};
    const uint32_t magic = random_.one_in(3) ? static_cast<uint32_t>(random_.below(UINT32_MAX))
                                             : random_.pick(kMagics);
    put32(random_.one_in(4) ? 8 : 0, magic,
          random_.one_in(2) ? std::endian::little : std::endian::big);
    say(fmt::format("magic {:08x}", magic));
  }

  void absurd_snap() {
    const uint32_t value = absurd(65'535);
    size_t at = 16;
    std::endian order = original_.records.front().order;
    if (original_.pcapng) {
      const BuiltRecord& interface =
          *std::find_if(original_.records.begin(), original_.records.end(),
                        [](const auto& each) { return each.type == 1; });
      at = interface.begin + 12;
      order = interface.order;
    }
    put32(at, value, order);
    say(fmt::format("snap length {}", value));
  }

  /// Offset of a record's captured length, or of its wire length.
  size_t length_at(const BuiltRecord& hit, bool captured) const {
    if (!original_.pcapng) return hit.begin + (captured ? 8 : 12);
    if (hit.type == 3) return hit.begin + 8;
    return hit.begin + (captured ? 20 : 24);
  }

  void absurd_length() {
    const BuiltRecord& hit = record();
    const uint32_t value = absurd(hit.end - hit.begin);
    const size_t at = length_at(hit, !random_.one_in(3));
    put32(at, value, hit.order);
    say(fmt::format("length {} at {}", value, at));
  }

  void absurd_block() {
    const BuiltRecord& hit = record();
    const uint32_t value = absurd(hit.end - hit.begin);
    const bool head = !random_.one_in(3);
    const bool tail = !head || random_.one_in(2);
    if (head) put32(hit.begin + 4, value, hit.order);
    if (tail) put32(hit.end - 4, value, hit.order);
    say(fmt::format("block length {} of the one at {}{}{}", value, hit.begin, head ? ", head" : "",
                    tail ? ", tail" : ""));
  }

  void absurd_option() {
    static constexpr std::array<uint16_t, 8> kLengths = {0, 1, 2, 3, 5, 100, 0xfffc, 0xffff};
    for (int attempt = 0; attempt < 20; ++attempt) {
      const BuiltRecord& hit = record();
      if (hit.options == 0 || hit.options + 4 > file_.size()) continue;
      FileBytes length(hit.order);
      length.u16(random_.pick(kLengths));
      std::copy(length.bytes().begin(), length.bytes().end(),
                file_.begin() + static_cast<Offset>(hit.options + 2));
      say(fmt::format("option length at {}", hit.options + 2));
      return;
    }
    flip_bits();
  }

  void zero_frame() {
    const BuiltRecord& hit = record();
    put32(length_at(hit, true), 0, hit.order);
    if (random_.one_in(2)) put32(length_at(hit, false), 0, hit.order);
    say(fmt::format("no byte of the frame at {}", hit.begin));
  }

  void flip_bits() {
    if (file_.empty()) return;
    const size_t count = 1 + random_.below(8);
    const size_t near = random_.below(file_.size());
    for (size_t i = 0; i < count; ++i) {
      const size_t at = random_.one_in(2) ? random_.below(file_.size())
                                          : std::min(near + random_.below(16), file_.size() - 1);
      file_[at] ^= static_cast<uint8_t>(1u << random_.below(8));
    }
    say(fmt::format("{} bits flipped, some near {}", count, near));
  }

  void other_order() {
    const BuiltRecord& hit = record();
    const size_t begin = random_.one_in(3) ? 0 : hit.begin;
    const size_t words = 1 + random_.below(7);
    for (size_t i = 0; i < words; ++i) reverse(begin + 4 * i, 4);
    say(fmt::format("{} integers turned round at {}", words, begin));
  }

  void move_records() {
    const BuiltRecord& from = record();
    const size_t to = record().begin;
    if (from.end > file_.size() || to > file_.size()) return;
    const Bytes copy(file_.begin() + static_cast<Offset>(from.begin),
                     file_.begin() + static_cast<Offset>(from.end));
    const bool keep = random_.one_in(3);
    const bool insert = keep || !random_.one_in(3);
    if (insert) file_.insert(file_.begin() + static_cast<Offset>(to), copy.begin(), copy.end());
    const size_t shift = insert && to <= from.begin ? copy.size() : 0;
    if (!keep) {
      file_.erase(file_.begin() + static_cast<Offset>(from.begin + shift),
                  file_.begin() + static_cast<Offset>(from.end + shift));
    }
    say(fmt::format("record at {} {}", from.begin, !insert ? "removed" : keep ? "twice" : "moved"));
  }

  void insert_or_remove() {
    const size_t at = random_.below(file_.size() + 1);
    const size_t count = 1 + random_.below(40);
    if (random_.one_in(2)) {
      const Bytes bytes = random_.bytes(count);
      file_.insert(file_.begin() + static_cast<Offset>(at), bytes.begin(), bytes.end());
    } else {
      const size_t end = std::min(at + count, file_.size());
      file_.erase(file_.begin() + static_cast<Offset>(at),
                  file_.begin() + static_cast<Offset>(end));
    }
    say(fmt::format("about {} bytes inserted or removed at {}", count, at));
  }

  /// As a file system leaves it when the power fails.
  void hole() {
    const size_t at = random_.below(file_.size() + 1);
    const size_t end = std::min(file_.size(), at + random_.below(5000));
    std::fill(file_.begin() + static_cast<Offset>(at), file_.begin() + static_cast<Offset>(end), 0);
    say(fmt::format("zeros from {} to {}", at, end));
  }

  void append_capture() {
    const Bytes& more = random_.pick(all_).file;
    file_.insert(file_.end(), more.begin(), more.end());
    say("another capture behind");
  }

  Random& random_;
  const BuiltCapture& original_;
  const std::vector<BuiltCapture>& all_;
  Bytes file_;
  std::string what_;
};

std::vector<BuiltCapture> make_originals(uint64_t seed, size_t count) {
  std::vector<BuiltCapture> result;
  for (size_t i = 0; i < count; ++i) {
    SampleShape shape;
    shape.pcapng = i % 3 != 0;
    shape.order = i % 2 == 0 ? std::endian::little : std::endian::big;
    shape.mixed_orders = i % 5 == 0;
    result.push_back(sample_capture(seed + i, shape));
  }
  return result;
}

}  // namespace

std::vector<OwnedFrame> CaptureMutant::intact_frames() const {
  std::vector<OwnedFrame> result;
  for (const BuiltFrame& built : original->frames) {
    if (built.end <= intact) result.push_back(built.frame);
  }
  return result;
}

CaptureMutants::CaptureMutants(uint64_t seed, size_t originals)
    : random_(seed), originals_(make_originals(seed, originals)) {}

CaptureMutant CaptureMutants::next() {
  const BuiltCapture& original = random_.pick(originals_);
  Mutator mutator(random_, original, originals_);
  const size_t count = 1 + (random_.one_in(3) ? random_.below(3) : 0);
  for (size_t i = 0; i < count; ++i) mutator.mutate();
  CaptureMutant result;
  result.what = mutator.what();
  result.file = mutator.take();
  result.original = &original;
  const size_t common = std::min(result.file.size(), original.file.size());
  const auto middle = original.file.begin() + static_cast<Offset>(common);
  result.intact =
      static_cast<size_t>(std::mismatch(original.file.begin(), middle, result.file.begin()).first -
                          original.file.begin());
  return result;
}

}  // namespace tfo::test
