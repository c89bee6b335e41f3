// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "loader/capture/byte_order.h"
#include "loader/capture/byte_source.h"
#include "loader/capture/pcapng.h"
#include "loader/capture/reader_pcap.h"
#include "loader/capture/reader_pcapng.h"

namespace tfo {
namespace {

using std::string_view_literals::operator""sv;

constexpr size_t kMagicSize = 4;
constexpr char kStandardInput[] = "standard input";

struct Foreign {
  std::string_view magic;
  std::string_view what;    // "is ..."
  std::string_view remedy;  // "{}" stands for the file
};

constexpr std::array kForeign = {
    Foreign{"\x1f\x8b"sv, "is compressed with gzip", "decompress it, `zcat {} | tfoctl replay -`"},
    Foreign{"\x28\xb5\x2f\xfd"sv, "is compressed with zstd",
            "decompress it, `zstdcat {} | tfoctl replay -`"},
    Foreign{"\xfd\x37zX"sv, "is compressed with xz", "decompress it, `xzcat {} | tfoctl replay -`"},
    Foreign{"BZh"sv, "is compressed with bzip2", "decompress it, `bzcat {} | tfoctl replay -`"},
    Foreign{"\x04\x22\x4d\x18"sv, "is compressed with lz4",
            "decompress it, `lz4cat {} | tfoctl replay -`"},
    Foreign{"\xa1\xb2\xcd\x34"sv, "is pcap in the modified form of old Linux distributions",
            "convert it, `editcap -F pcap {} NEW`"},
    Foreign{"\x34\xcd\xb2\xa1"sv, "is pcap in the modified form of old Linux distributions",
            "convert it, `editcap -F pcap {} NEW`"},
    Foreign{"snoo"sv, "is a capture of snoop", "convert it, `editcap -F pcapng {} NEW`"},
};

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char c) {
    return std::isprint(c) != 0 || c == '\n' || c == '\r' || c == '\t';
  });
}

tl::unexpected<Error> not_a_capture(ByteSource& source) {
  // A line's worth, to tell text from other files; fewer bytes do as well.
  static_cast<void>(source.need(64));
  const std::string_view bytes(reinterpret_cast<const char*>(source.data()),
                               std::min<size_t>(source.available(), 64));
  if (bytes.empty()) return source.failure("is empty; a capture has at least a file header");
  const std::string file = source.name() == kStandardInput ? "FILE" : source.name();
  for (const Foreign& foreign : kForeign) {
    if (bytes.starts_with(foreign.magic)) {
      return source.failure(
          fmt::format("{}: {}", foreign.what, fmt::format(fmt::runtime(foreign.remedy), file)));
    }
  }
  if (is_text(bytes)) {
    return source.failure("is text, not a capture; `tcpdump -w FILE` writes one");
  }
  std::string magic;
  for (const char c : bytes.substr(0, kMagicSize)) {
    magic += fmt::format(" {:02x}", static_cast<unsigned char>(c));
  }
  return source.failure(
      fmt::format("is neither pcap nor pcapng, it begins with{}; `editcap -F "
                  "pcapng {} NEW` converts other captures",
                  magic, file));
}

Result<std::unique_ptr<RecordReader>> detect(ByteSource& source) {
  if (source.need(kMagicSize)) {
    for (const bool swapped : {false, true}) {
      const ByteOrder order(swapped);
      const uint32_t magic = order.u32(source.data());
      if (magic == kBlockSection) return std::make_unique<PcapngReader>(source);
      if (magic == kPcapMicroseconds || magic == kPcapNanoseconds) {
        return std::make_unique<PcapReader>(source, order, magic == kPcapNanoseconds);
      }
    }
  }
  return not_a_capture(source);
}

}  // namespace

class CaptureReader::Impl {
 public:
  explicit Impl(ByteSource source) : source_(std::move(source)) {}

  Result<> begin() {
    auto records = detect(source_);
    if (!records) return tl::unexpected(std::move(records.error()));
    records_ = std::move(*records);
    return records_->begin();
  }

  Result<std::optional<CapturedFrame>> next() {
    if (failed_) return tl::unexpected(*failed_);
    if (ended_) return std::optional<CapturedFrame>();
    auto frame = records_->next();
    if (!frame) {
      failed_ = frame.error();
    } else {
      ended_ = !frame->has_value();
    }
    return frame;
  }

  const ByteSource& source() const { return source_; }
  const RecordReader& records() const { return *records_; }

 private:
  ByteSource source_;
  std::unique_ptr<RecordReader> records_;
  std::optional<Error> failed_;
  bool ended_ = false;
};

Result<CaptureReader> CaptureReader::open(const std::string& path) {
  if (path == "-") {
    // A copy, so that closing it leaves descriptor 0 in its place.
    const int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0) return fail_errno("cannot read standard input");
    if (isatty(fd) == 1) {
      ::close(fd);
      return fail("standard input is a terminal; pipe a capture into it, or name a file");
    }
    return adopt(fd, kStandardInput);
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno("cannot open " + path);
  return adopt(fd, path);
}

Result<CaptureReader> CaptureReader::adopt(int fd, std::string name) {
  auto source = ByteSource::adopt(Fd(fd), std::move(name));
  if (!source) return tl::unexpected(std::move(source.error()));
  auto impl = std::make_unique<Impl>(std::move(*source));
  if (auto begun = impl->begin(); !begun) return tl::unexpected(std::move(begun.error()));
  return CaptureReader(std::move(impl));
}

CaptureReader::CaptureReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CaptureReader::CaptureReader(CaptureReader&&) noexcept = default;
CaptureReader& CaptureReader::operator=(CaptureReader&&) noexcept = default;
CaptureReader::~CaptureReader() = default;

Result<std::optional<CapturedFrame>> CaptureReader::next() { return impl_->next(); }

const std::vector<CaptureInterface>& CaptureReader::interfaces() const {
  return impl_->records().interfaces();
}

const char* CaptureReader::format() const { return impl_->records().format(); }

uint64_t CaptureReader::bytes_read() const { return impl_->source().offset(); }

std::optional<uint64_t> CaptureReader::file_size() const { return impl_->source().size(); }

}  // namespace tfo
