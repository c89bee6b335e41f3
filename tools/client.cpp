// SPDX-License-Identifier: BSD-2-Clause
#include "tools/client.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "loader/control.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr size_t kMaxReply = 256U << 20;  // 16,384 VIPs with all their cells are about 60 MB
constexpr time_t kTimeoutSeconds = 15;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<CallError> lost(std::string message, bool absent = false) {
  return tl::unexpected<CallError>(CallError{Error{std::move(message)}, absent});
}

tl::unexpected<CallError> unanswered(std::string message) {
  return tl::unexpected<CallError>(CallError{Error{std::move(message)}, false, true});
}

tl::unexpected<CallError> unreachable(const std::string& path, int error) {
  if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
    return lost(fmt::format("no tfod listens on {}. Start it (`tfod --config "
                            "/etc/tfoguard/tfod.json`, or `systemctl start tfod`), or name its "
                            "socket with --socket PATH",
                            path),
                true);
  }
  if (error == EACCES || error == EPERM) {
    return lost(fmt::format("may not use {}: run tfoctl as root or as tfod's own user", path));
  }
  return lost(fmt::format("{}: {}", path, std::strerror(error)));
}

/// Connects `fd`; 0 or an errno value.
int connect_to(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  const timeval timeout{kTimeoutSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

/// 0 or an errno value.
int send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return 0;
}

/// One line, without its end; 0 or an errno value, ECONNRESET if the daemon hung up before it.
int receive_line(int fd, std::string& line) {
  const auto buffer = std::make_unique<std::array<char, 65536>>();
  while (line.size() < kMaxReply) {
    const ssize_t got = recv(fd, buffer->data(), buffer->size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    line.append(buffer->data(), static_cast<size_t>(got));
    sodium_memzero(buffer->data(), static_cast<size_t>(got));
    const size_t end = line.find('\n');
    if (end != std::string::npos) {
      line.resize(end);
      return 0;
    }
    if (got == 0) return line.empty() ? ECONNRESET : 0;
  }
  return EMSGSIZE;
}

tl::expected<json, CallError> read_reply(const std::string& path, const std::string& line) {
  json reply = json::parse(line, nullptr, false);
  if (!reply.is_object() || !reply.contains("ok") || !reply["ok"].is_boolean()) {
    return unanswered(
        fmt::format("{}: whoever answers there is no tfod (its reply is not ours)", path));
  }
  if (!reply["ok"].get<bool>()) {
    return lost(fmt::format("tfod: {}", text_of(reply, "error")));
  }
  return reply.contains("result") ? std::move(reply["result"]) : json::object();
}

}  // namespace

tl::expected<json, CallError> try_call(const Context& context, const std::string& command,
                                       json arguments) {
  json request = arguments.is_object() ? std::move(arguments) : json::object();
  request["command"] = command;
  const std::string& path = context.socket;
  const Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return lost(fmt::format("no unix socket: {}", std::strerror(errno)));
  if (const int error = connect_to(fd.get(), path)) return unreachable(path, error);

  std::string text = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  wipe_strings(request);
  std::string line;
  int error = send_all(fd.get(), text);
  sodium_memzero(text.data(), text.size());
  if (error == 0) error = receive_line(fd.get(), line);
  if (error == EAGAIN || error == EWOULDBLOCK) {
    return unanswered(fmt::format("the tfod on {} did not answer within {} s: see its journal",
                                  path, kTimeoutSeconds));
  }
  if (error != 0) {
    return unanswered(
        fmt::format("the tfod on {} broke off the conversation: {}", path, std::strerror(error)));
  }
  auto reply = read_reply(path, line);
  sodium_memzero(line.data(), line.size());
  return reply;
}

Result<> check_instance(const Context& context, const json& status) {
  const std::string found = text_of(status, "instance");
  if (!context.instance_given || found == context.instance) return {};
  return fail(
      fmt::format("the tfod on {} is instance '{}', not '{}': name the right one's socket "
                  "with --socket PATH",
                  context.socket, found, context.instance));
}

Result<json> call(const Context& context, const std::string& command, json arguments) {
  if (context.instance_given) {
    const auto status = try_call(context, "status");
    if (!status) return tl::unexpected<Error>(status.error().error);
    if (auto same = check_instance(context, *status); !same) {
      return tl::unexpected<Error>(same.error());
    }
  }
  auto reply = try_call(context, command, std::move(arguments));
  if (!reply) return tl::unexpected<Error>(reply.error().error);
  return std::move(*reply);
}

std::string text_of(const json& object, const std::string& key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end() || found->is_null()) return "-";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_boolean()) return found->get<bool>() ? "yes" : "no";
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

int64_t number_of(const json& object, const std::string& key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_number() ? found->get<int64_t>() : 0;
}

const json& member_of(const json& object, const std::string& key) {
  static const json none = json::object();
  if (!object.is_object()) return none;
  const auto field = object.find(key);
  return field == object.end() ? none : *field;
}

json array_of(const json& object, const std::string& key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_array() ? *found : json::array();
}

}  // namespace tfo
