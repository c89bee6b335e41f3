// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "loader/capture/output_file.h"
#include "loader/capture/pcapng.h"

namespace tfo {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kMaxOption = 65'535;
constexpr uint64_t kUnknownLength = UINT64_MAX;
constexpr std::array<uint8_t, 4> kPadding{};

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// At most what an option holds, without half a UTF-8 character at its end.
std::string_view cut_text(std::string_view text) {
  if (text.size() <= kMaxOption) return text;
  size_t size = kMaxOption;
  while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

/// The fixed fields and options of a block, in this machine's byte order, which the section names.
class BlockPart {
 public:
  template <class T>
  void put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(value));
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
  }
  void option(uint16_t code, Bytes value) {
    put(code);
    put(static_cast<uint16_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    bytes_.resize(padded(bytes_.size()));
  }
  void text(uint16_t code, std::string_view value) {
    if (!value.empty()) option(code, bytes_of(cut_text(value)));
  }
  void end_options() {
    if (!bytes_.empty()) put(uint32_t{0});
  }
  void clear() { bytes_.clear(); }
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace

class CaptureWriter::Impl {
 public:
  explicit Impl(OutputFile file) : file_(std::move(file)) {}

  Result<> begin(std::string_view application) {
    fields_.put(kByteOrderMagic);
    fields_.put(uint16_t{1});
    fields_.put(uint16_t{0});
    fields_.put(kUnknownLength);
    options_.text(kOptionApplication, application);
    return write_block(kBlockSection, {});
  }

  Result<> add_interface(const CaptureInterface& interface) {
    if (interface.link_type > UINT16_MAX) {
      return fail(fmt::format("link type {} does not fit into pcapng", interface.link_type));
    }
    fields_.put(static_cast<uint16_t>(interface.link_type));
    fields_.put(uint16_t{0});
    fields_.put(interface.snap_length);
    options_.text(kOptionInterfaceName, interface.name);
    options_.option(kOptionTimeResolution, Bytes(&kNanoseconds, 1));
    ++interfaces_;
    return write_block(kBlockInterface, {});
  }

  Result<> add(const CapturedFrame& frame, Bytes bytes, std::string_view comment) {
    if (frame.interface >= interfaces_) {
      return fail(fmt::format("frame {} is of interface {}, only {} were added", frame.number,
                              frame.interface, interfaces_));
    }
    const auto captured = static_cast<uint32_t>(bytes.size());
    fields_.put(frame.interface);
    fields_.put(static_cast<uint32_t>(frame.time_ns >> 32));
    fields_.put(static_cast<uint32_t>(frame.time_ns));
    fields_.put(captured);
    fields_.put(std::max(frame.wire_length, captured));
    options_.text(kOptionComment, comment);
    if (frame.flags) {
      options_.put(kOptionFlags);
      options_.put(uint16_t{4});
      options_.put(*frame.flags);
    }
    return write_block(kBlockEnhancedPacket, bytes);
  }

  Result<> commit() { return file_.commit(); }
  const std::string& temporary() const { return file_.temporary(); }

 private:
  /// fields_, `data`, options_; both are empty afterwards.
  Result<> write_block(uint32_t type, Bytes data) {
    options_.end_options();
    const Bytes padding = Bytes(kPadding).first(padded(data.size()) - data.size());
    const size_t body =
        fields_.bytes().size() + data.size() + padding.size() + options_.bytes().size();
    const auto length = static_cast<uint32_t>(kBlockFrame + body);
    const std::array<uint32_t, 2> head = {type, length};
    Result<> done = file_.append(head.data(), sizeof(head));
    for (const Bytes part : {fields_.bytes(), data, padding, options_.bytes()}) {
      if (done && !part.empty()) done = file_.append(part.data(), part.size());
    }
    if (done) done = file_.append(&length, sizeof(length));
    fields_.clear();
    options_.clear();
    return done;
  }

  OutputFile file_;
  uint32_t interfaces_ = 0;
  BlockPart fields_;
  BlockPart options_;
};

Result<CaptureWriter> CaptureWriter::create(const std::string& path, std::string_view application) {
  auto file = OutputFile::create(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto impl = std::make_unique<Impl>(std::move(*file));
  if (auto begun = impl->begin(application); !begun)
    return tl::unexpected(std::move(begun.error()));
  return CaptureWriter(std::move(impl));
}

CaptureWriter::CaptureWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CaptureWriter::CaptureWriter(CaptureWriter&&) noexcept = default;
CaptureWriter& CaptureWriter::operator=(CaptureWriter&&) noexcept = default;
CaptureWriter::~CaptureWriter() = default;

Result<> CaptureWriter::add_interface(const CaptureInterface& interface) {
  return impl_->add_interface(interface);
}

Result<> CaptureWriter::add(const CapturedFrame& frame, std::span<const uint8_t> bytes,
                            std::string_view comment) {
  return impl_->add(frame, bytes, comment);
}

Result<> CaptureWriter::commit() { return impl_->commit(); }

const std::string& CaptureWriter::temporary() const { return impl_->temporary(); }

}  // namespace tfo
