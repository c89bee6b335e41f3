// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/http.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "loader/dataplane/fd.h"
#include "loader/observe/http_browser.h"

namespace tfo {
namespace {

constexpr size_t kThreads = 8;
/// Bytes. The library compresses for whoever takes it, and takes three times as long for that as it
/// took to make the page.
constexpr size_t kMostCompressed = 1U << 20;
constexpr time_t kIdle = 1;     // seconds; below the page's pace: a page in view holds no thread
constexpr time_t kTimeout = 2;  // seconds, for a client to go on sending or taking
constexpr std::chrono::seconds kFarewell{1};

void answer(HttpServer::Gate& gate, const HttpServer::Page& page, const char* type,
            httplib::Response& response) {
  const std::shared_lock<std::shared_mutex> inside(gate.mutex);
  std::optional<HttpServer::Content> content = gate.closed ? std::nullopt : page();
  if (!content) {
    response.status = 503;
    response.set_content("not in time\n", "text/plain; charset=utf-8");
    return;
  }
  response.status = content->status;
  if (content->text.size() <= kMostCompressed) return response.set_content(content->text, type);
  const auto body = std::make_shared<std::string>(std::move(content->text));
  response.set_content_provider(body->size(), type,
                                [body](size_t offset, size_t length, httplib::DataSink& sink) {
                                  return sink.write(body->data() + offset, length);
                                });
}

/// The library takes paths for regular expressions.
std::string as_pattern(const std::string& path) {
  std::string pattern;
  for (const char c : path) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

/// A socket that nobody serves any more goes; whatever else is there is somebody's.
Result<> remove_stale(const std::string& path) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) return {};  // bind() says what else is wrong
  if (!S_ISSOCK(info.st_mode)) {
    return fail(fmt::format("http.listen: {} exists and is no socket; remove it", path));
  }
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ||
      errno != ECONNREFUSED) {
    return fail(
        fmt::format("http.listen: somebody serves {} already; stop it, or choose another "
                    "path",
                    path));
  }
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno("http.listen: cannot remove the old " + path);
}

}  // namespace

struct HttpServer::Served {
  Certificates certificates;  // outlive the server
  std::unique_ptr<httplib::Server> server;
};

HttpServer::HttpServer(const HttpConfig& config)
    : served_(std::make_shared<Served>()), gate_(std::make_shared<Gate>()), config_(config) {
  if (!config.tls) {
    served_->server = std::make_unique<httplib::Server>();
    return;
  }
  served_->server = std::make_unique<httplib::SSLServer>([this](SSL_CTX& context) {
    served_->certificates.attach(context);
    return true;
  });
}

/// The library waits for its clients, and a client may take its time: who does not end soon is left
/// behind a closed gate, to end with the process.
HttpServer::~HttpServer() {
  {
    const std::unique_lock<std::shared_mutex> outside(gate_->mutex);
    gate_->closed = true;
  }
  served_->server->stop();
  struct stat info{};
  if (socket_ && lstat(config_.path.c_str(), &info) == 0 &&
      *socket_ == std::pair<uint64_t, uint64_t>(info.st_dev, info.st_ino)) {
    unlink(config_.path.c_str());
  }
  if (!thread_.joinable()) return;
  if (ended_.wait_for(kFarewell) == std::future_status::ready) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(const HttpConfig& config) {
  SslContext context;
  if (config.tls) {
    auto read = read_certificates(*config.tls);
    if (!read) return tl::unexpected(read.error());
    context = std::move(*read);
  }
  std::unique_ptr<HttpServer> made(new HttpServer(config));
  made->use(std::move(context));
  httplib::Server& server = *made->served_->server;
  if (!server.is_valid()) return fail("http.tls: OpenSSL cannot be used");
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_read_timeout(kTimeout);
  server.set_write_timeout(kTimeout);
  server.set_payload_max_length(1024);
  server.set_keep_alive_max_count(16);
  server.set_keep_alive_timeout(kIdle);
  const auto bound = config.path.empty() ? made->bind() : made->bind_unix();
  if (!bound) return tl::unexpected(bound.error());
  return made;
}

Result<> HttpServer::bind() {
  httplib::Server& server = *served_->server;
  // The library's default sets SO_REUSEPORT, with which two daemons would share one port in
  // silence.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  errno = 0;
  if (config_.port != 0 ? server.bind_to_port(config_.host, config_.port)
                        : (config_.port = static_cast<uint16_t>(
                               std::max(0, server.bind_to_any_port(config_.host)))) != 0) {
    return {};
  }
  return fail(
      fmt::format("http.listen: cannot listen on {}: {}; choose another port, or \"http\": "
                  "null for none",
                  address(), errno != 0 ? std::strerror(errno) : "refused"));
}

Result<> HttpServer::bind_unix() {
  if (auto removed = remove_stale(config_.path); !removed) return removed;
  httplib::Server& server = *served_->server;
  server.set_address_family(AF_UNIX);
  server.set_socket_options([](socket_t) {});
  errno = 0;
  const mode_t before = umask(0117);
  const bool bound = server.bind_to_port(config_.path, 1);  // no port: the library wants one
  const int error = errno;
  umask(before);
  if (!bound) {
    return fail_errno("http.listen: cannot listen on " + address(), error);
  }
  struct stat info{};
  if (lstat(config_.path.c_str(), &info) == 0) socket_.emplace(info.st_dev, info.st_ino);
  return {};
}

void HttpServer::use(SslContext context) { served_->certificates.use(std::move(context)); }

void HttpServer::start(const std::vector<Route>& routes) {
  for (const Route& route : routes) {
    served_->server->Get(as_pattern(route.path),
                         [gate = gate_, route, host = config_.host](const httplib::Request& request,
                                                                    httplib::Response& response) {
                           if (route.browser) {
                             add_browser_headers(response);
                             if (!host_is_ours(host, request, response)) return;
                           }
                           if (!route.gzip.empty()) {
                             response.set_header("Vary", "Accept-Encoding");
                             if (takes_gzip(request.get_header_value("Accept-Encoding"))) {
                               return send_gzip(route.gzip, route.type, response);
                             }
                           }
                           answer(*gate, route.page, route.type, response);
                         });
  }
  std::packaged_task<void()> serve([served = served_] { served->server->listen_after_bind(); });
  ended_ = serve.get_future();
  thread_ = std::thread(std::move(serve));
}

std::string HttpServer::address() const {
  if (!config_.path.empty()) return "unix:" + config_.path;
  const bool v6 = config_.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", config_.host, v6 ? "]" : "", config_.port);
}

std::string HttpServer::url() const {
  if (!config_.path.empty()) return address();
  return (config_.tls ? "https://" : "http://") + address();
}

bool HttpServer::is_open_to_others() const {
  return config_.path.empty() && !config_.tls && !is_loopback(config_.host);
}

}  // namespace tfo
