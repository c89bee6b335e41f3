// SPDX-License-Identifier: BSD-2-Clause
#include "loader/control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <filesystem>

#include "loader/log.h"

namespace tfo {

using nlohmann::json;

struct ControlServer::Client {
  explicit Client(Fd socket, size_t line_bytes) : fd(std::move(socket)), in(line_bytes) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { sodium_memzero(out.data(), out.size()); }

  Fd fd;
  LineBuffer in;
  std::string out;  // reply, what is left from `sent` on still has to go
  size_t sent = 0;
  bool ended = false;  // the client has sent all it will
  EventLoop::Source io;
  EventLoop::Source timeout;
};

LineBuffer::~LineBuffer() { sodium_memzero(bytes_.data(), bytes_.capacity()); }

bool LineBuffer::append(const char* data, size_t size) {
  // All at once: growing later would leave an unwiped copy behind.
  bytes_.reserve(limit_ + kChunk + 1);
  bytes_.append(data, size);
  return std::min(bytes_.find('\n'), bytes_.size()) <= limit_;
}

std::optional<std::string> LineBuffer::take() {
  const size_t newline = bytes_.find('\n');
  if (newline == std::string::npos) return std::nullopt;
  std::string line = bytes_.substr(0, newline);
  const size_t rest = bytes_.size() - newline - 1;
  std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(newline) + 1, rest, bytes_.begin());
  sodium_memzero(bytes_.data() + rest, bytes_.size() - rest);
  bytes_.resize(rest);
  return line;
}

void wipe_strings(json& document) {
  if (document.is_string()) {
    auto& text = document.get_ref<std::string&>();
    sodium_memzero(text.data(), text.size());
  }
  if (!document.is_structured()) return;
  for (json& element : document) wipe_strings(element);
}

namespace {

/// Names and values. What reads them as C strings would stop in their midst.
bool has_nul(const json& document) {
  if (document.is_string()) {
    return document.get_ref<const std::string&>().find('\0') != std::string::npos;
  }
  if (!document.is_structured()) return false;
  for (const auto& [name, value] : document.items()) {
    if ((document.is_object() && name.find('\0') != std::string::npos) || has_nul(value)) {
      return true;
    }
  }
  return false;
}

}  // namespace

ControlServer::ControlServer(EventLoop& loop, std::string path, Handler handler,
                             ControlLimits limits)
    : loop_(loop), path_(std::move(path)), handler_(std::move(handler)), limits_(limits) {}

ControlServer::~ControlServer() {
  clients_.clear();
  if (bound_) unlink(path_.c_str());
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(EventLoop& loop, std::string path,
                                                           Handler handler, ControlLimits limits) {
  std::unique_ptr<ControlServer> server(
      new ControlServer(loop, std::move(path), std::move(handler), limits));
  if (auto locked = server->lock(); !locked) return tl::unexpected(locked.error());
  if (auto listening = server->listen(); !listening) return tl::unexpected(listening.error());
  return server;
}

Result<> ControlServer::lock() {
  const auto directory = std::filesystem::path(path_).parent_path();
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(fmt::format("socket: cannot make the directory {}", directory.string()));
  }
  const std::string lock_path = path_ + ".lock";
  lock_ = Fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_) return fail_errno("socket: cannot open " + lock_path);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) return fail_errno("socket: cannot lock " + lock_path);
  return fail(
      fmt::format("socket: another tfod serves {} already; stop it first, or give this one "
                  "its own \"instance\" and \"socket\"",
                  path_));
}

Result<> ControlServer::listen() {
  listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return fail_errno("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return fail("socket: path too long: " + path_);
  path_.copy(address.sun_path, path_.size());
  struct stat status{};
  if (lstat(path_.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode)) {
    return fail(fmt::format("socket: {} exists and is no socket; remove it", path_));
  }
  unlink(path_.c_str());  // stale: whoever lives holds the lock
  const mode_t before = umask(0177);
  const int bound = bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  const int bind_error = errno;
  umask(before);
  if (bound != 0) return fail_errno("socket: cannot bind " + path_, bind_error);
  bound_ = true;
  if (::listen(listener_.get(), 16) != 0) return fail_errno("socket: cannot listen on " + path_);
  auto source = loop_.io(listener_.get(), EPOLLIN, [this](uint32_t) { accept(); });
  if (!source) return tl::unexpected(source.error());
  listener_source_ = std::move(*source);
  return {};
}

void ControlServer::accept() {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return;
  ucred peer{};
  socklen_t size = sizeof(peer);
  const bool known = getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  if (!known || (peer.uid != 0 && peer.uid != geteuid())) {
    log_warning("control socket: user {} turned away", peer.uid);
    return;
  }
  if (clients_.size() >= limits_.clients) {
    constexpr std::string_view busy = "{\"ok\":false,\"error\":\"too many clients; try again\"}\n";
    [[maybe_unused]] const ssize_t n = write(fd.get(), busy.data(), busy.size());
    return;
  }
  Client& client = clients_.emplace_back(std::move(fd), limits_.line_bytes);
  auto io = loop_.io(client.fd.get(), EPOLLIN,
                     [this, &client](uint32_t events) { ready(client, events); });
  auto timeout = loop_.timer([this, &client] { drop(client); });
  if (!io || !timeout) return drop(client);
  client.io = std::move(*io);
  client.timeout = std::move(*timeout);
  client.timeout.start(limits_.patience);
}

void ControlServer::ready(Client& client, uint32_t events) {
  bool alive = true;
  if ((events & EPOLLOUT) != 0) alive = send(client);
  if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) alive = receive(client);
  // One request at a time: what follows waits in the buffer until the reply is gone.
  while (alive && client.out.empty()) {
    std::optional<std::string> line = client.in.take();
    if (!line) break;
    answer(client, *line);
    sodium_memzero(line->data(), line->size());
    alive = send(client);
  }
  if (!alive || (client.ended && client.out.empty())) return drop(client);
  // Nothing more is read before the reply is gone, so that the buffers stay bounded.
  client.io.watch(client.out.empty() ? EPOLLIN : EPOLLOUT);
}

bool ControlServer::receive(Client& client) {
  char buffer[LineBuffer::kChunk];
  const ssize_t n = read(client.fd.get(), buffer, sizeof(buffer));
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  client.ended = n == 0;
  const bool fits = client.in.append(buffer, static_cast<size_t>(n));
  sodium_memzero(buffer, sizeof(buffer));
  if (fits) return true;
  client.out = fmt::format("{{\"ok\":false,\"error\":\"request longer than {} bytes\"}}\n",
                           limits_.line_bytes);
  client.ended = true;
  return send(client);
}

bool ControlServer::send(Client& client) {
  while (client.sent < client.out.size()) {
    const ssize_t n = ::send(client.fd.get(), client.out.data() + client.sent,
                             client.out.size() - client.sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    client.sent += static_cast<size_t>(n);
  }
  sodium_memzero(client.out.data(), client.out.size());
  client.out.clear();
  client.sent = 0;
  if (!client.ended) client.timeout.start(limits_.patience);
  return true;
}

void ControlServer::answer(Client& client, const std::string& line) {
  json reply = reply_to(line);
  client.out = reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  wipe_strings(reply);
}

json ControlServer::reply_to(const std::string& line) {
  const auto refuse = [](std::string text) {
    return json{{"ok", false}, {"error", std::move(text)}};
  };
  json request = json::parse(line, nullptr, false);
  if (!request.is_object()) return refuse("the request is no JSON object");
  if (has_nul(request)) {
    wipe_strings(request);
    return refuse("the request has a NUL (\\u0000) in a text: nothing is named so, leave it out");
  }
  const auto command = request.find("command");
  if (command == request.end() || !command->is_string()) {
    return refuse("the request has no \"command\"");
  }
  auto result = handler_(command->get<std::string>(), request);
  wipe_strings(request);
  if (!result) return refuse(result.error().message);
  return {{"ok", true}, {"result", std::move(*result)}};
}

void ControlServer::drop(Client& client) {
  clients_.remove_if([&](const Client& other) { return &other == &client; });
}

}  // namespace tfo
