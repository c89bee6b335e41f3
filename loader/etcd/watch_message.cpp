// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/watch_message.h"

#include <utility>

namespace tfo::etcd {
namespace {

constexpr std::string_view kError = "{\"error\"";
constexpr size_t kErrorLimit = 64U << 10;

std::optional<WatchEvent> read_event(const nlohmann::json& object) {
  Fields fields(object);
  const std::string type = fields.text("type");
  auto kv = read_key_value(fields.object("kv"));
  if (!fields.good() || !kv || kv->key.empty() || kv->mod_revision <= 0) return std::nullopt;
  if (!type.empty() && type != "PUT" && type != "DELETE") return std::nullopt;
  return WatchEvent{type == "DELETE", std::move(*kv)};
}

}  // namespace

void LineSplitter::add(std::string_view piece) {
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  buffer_ += piece;
}

std::optional<std::string> LineSplitter::next() {
  const size_t end = buffer_.find('\n', scanned_);
  if (end != std::string::npos) {
    std::string line = buffer_.substr(begin_, end - begin_);
    begin_ = scanned_ = end + 1;
    return line;
  }
  scanned_ = buffer_.size();
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  if (rest.starts_with(kError) && rest.ends_with('}') && rest.size() <= kErrorLimit &&
      parse_object(rest)) {
    return take_rest();
  }
  return std::nullopt;
}

std::string LineSplitter::take_rest() {
  std::string rest = buffer_.substr(begin_);
  buffer_.clear();
  begin_ = scanned_ = 0;
  return rest;
}

std::optional<WatchMessage> parse_watch_line(std::string_view line) {
  const auto object = parse_object(line);
  if (!object) return std::nullopt;
  WatchMessage message;
  message.error = grpc_status(*object);
  if (message.error) return message;
  Fields outer(*object);
  Fields fields(outer.object("result"));
  message.header = read_header(fields);
  message.watch_id = fields.integer("watch_id");
  message.created = fields.boolean("created");
  message.canceled = fields.boolean("canceled");
  message.fragment = fields.boolean("fragment");
  message.compact_revision = fields.integer("compact_revision");
  message.cancel_reason = fields.text("cancel_reason");
  for (const nlohmann::json& one : fields.array("events")) {
    auto event = read_event(one);
    if (!event) return std::nullopt;
    message.events.push_back(std::move(*event));
  }
  if (!outer.good() || !fields.good()) return std::nullopt;
  return message;
}

}  // namespace tfo::etcd
