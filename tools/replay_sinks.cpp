// SPDX-License-Identifier: BSD-2-Clause
#include "tools/replay_sinks.h"

#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "loader/observe/reason_table.h"
#include "tools/text_table.h"

namespace tfo {

namespace {

/// "cookie_invalid option=34 data=1 vip=web"
std::string labels(const Judgement& judged, const ReplayWorld& world) {
  std::string text = fmt::format("{} option={} data={}", reason_label(judged.reason),
                                 option_label(judged.option), judged.data ? 1 : 0);
  if (judged.slot != TFO_NODE_SLOT && !world.every_vip()) {
    text += " vip=" + printable(world.vip_name(judged.slot));
  }
  return text;
}

/// "pass", "pass would=demote"
std::string verdict(const Judgement& judged) {
  std::string text(action_label(judged.verdict));
  if (judged.would != judged.verdict) text += fmt::format(" would={}", action_label(judged.would));
  return text;
}

std::string skipped_text(Skip skip) {
  return fmt::format("skipped {}: {}", skip_label(skip), skip_sentence(skip));
}

bool is_precious(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) &&
         std::filesystem::file_size(path, ignored) > 0 && !CaptureReader::open(path);
}

Result<> written(const Context& context) {
  if (context.out) return {};
  return fail("cannot write to standard output");
}

}  // namespace

const char* StampText::text(uint64_t time_ns) {
  constexpr uint64_t kSecond = 1'000'000'000;
  if (time_ns / kSecond != second_) {
    second_ = time_ns / kSecond;
    const auto time = static_cast<std::time_t>(second_);
    std::tm parts{};
    gmtime_r(&time, &parts);
    length_ = std::strftime(text_, sizeof(text_), "%Y-%m-%d %H:%M:%S", &parts);
  }
  *fmt::format_to_n(text_ + length_, sizeof(text_) - length_ - 1, ".{:09}", time_ns % kSecond).out =
      '\0';
  return text_;
}

Result<> FrameLines::take(const ReplayedFrame& frame) {
  return context_->json ? take_json(frame) : take_text(frame);
}

Result<> FrameLines::take_text(const ReplayedFrame& frame) {
  fmt::memory_buffer line;
  auto out = std::back_inserter(line);
  const uint64_t time_ns = frame.captured.time_ns;
  fmt::format_to(out, "{:>8}  {:<29}  ", frame.captured.number,
                 time_ns == 0 ? "-" : stamp_.text(time_ns));
  if (frame.skipped) {
    fmt::format_to(out, "{}\n", skipped_text(*frame.skipped));
  } else {
    const auto flow = flow_of(*frame.ethernet, describe(*frame.ethernet, *frame.config));
    const std::string way = flow ? flow->source_text() + " > " + flow->destination_text() : "-";
    fmt::format_to(out, "{:<43}  {}  {}\n", way, labels(frame.judgement, *world_),
                   verdict(frame.judgement));
  }
  context_->out.write(line.data(), static_cast<std::streamsize>(line.size()));
  return written(*context_);
}

Result<> FrameLines::take_json(const ReplayedFrame& frame) {
  nlohmann::ordered_json row = {{"number", frame.captured.number},
                                {"time_ns", frame.captured.time_ns}};
  if (frame.skipped) {
    row["skipped"] = skip_label(*frame.skipped);
  } else {
    const Judgement& judged = frame.judgement;
    if (const auto flow = flow_of(*frame.ethernet, describe(*frame.ethernet, *frame.config))) {
      row["source"] = address_text(flow->family, flow->source);
      row["destination"] = address_text(flow->family, flow->destination);
      if (flow->has_ports) {
        row["source_port"] = flow->source_port;
        row["destination_port"] = flow->destination_port;
      }
    }
    row["reason"] = reason_label(judged.reason);
    row["option"] = option_label(judged.option);
    row["data"] = judged.data ? 1 : 0;
    if (judged.slot != TFO_NODE_SLOT) row["vip"] = world_->vip_name(judged.slot);
    row["verdict"] = action_label(judged.verdict);
    row["would"] = action_label(judged.would);
  }
  context_->out << (first_ ? "" : ",")
                << row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  first_ = false;
  return written(*context_);
}

Result<AnnotatedCapture> AnnotatedCapture::create(const std::string& path, const std::string& input,
                                                  const CaptureReader& reader,
                                                  const ReplayWorld& world) {
  std::error_code ignored;
  if (std::filesystem::equivalent(path, input, ignored)) {
    return fail(fmt::format("--out {} is the capture itself; give another name", path));
  }
  if (is_precious(path)) {
    return fail(fmt::format("--out {} is there and is no capture; give another name", path));
  }
  auto writer = CaptureWriter::create(path, "tfoctl " TFO_VERSION);
  if (!writer) return tl::unexpected(std::move(writer).error().in("--out"));
  return AnnotatedCapture(std::move(*writer), reader, world);
}

Result<> AnnotatedCapture::add_interfaces() {
  for (; interfaces_ < reader_->interfaces().size(); interfaces_++) {
    auto added = writer_.add_interface(reader_->interfaces()[interfaces_]);
    if (!added) return tl::unexpected(std::move(added).error().in("--out"));
  }
  return {};
}

Result<> AnnotatedCapture::take(const ReplayedFrame& frame) {
  if (auto added = add_interfaces(); !added) return added;
  const std::string comment = "tfoguard: " + (frame.skipped ? skipped_text(*frame.skipped)
                                                            : labels(frame.judgement, *world_) +
                                                                  ' ' + verdict(frame.judgement));
  auto added = writer_.add(frame.captured, frame.bytes, comment);
  if (!added) return tl::unexpected(std::move(added).error().in("--out"));
  return {};
}

Result<> AnnotatedCapture::commit() {
  auto done = add_interfaces();
  if (done) done = writer_.commit();
  if (!done) return tl::unexpected(std::move(done).error().in("--out"));
  return {};
}

}  // namespace tfo
