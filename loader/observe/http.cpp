// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/http.h"

#include <fmt/format.h>
#include <httplib.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

namespace tfo {
namespace {

constexpr size_t kThreads = 8;
constexpr time_t kTimeout = 2;  // seconds, for a client to go on sending or taking
constexpr std::chrono::seconds kFarewell{1};

void answer(HttpServer::Gate& gate, const HttpServer::Page& page, const char* type,
            httplib::Response& response) {
  const std::shared_lock<std::shared_mutex> inside(gate.mutex);
  const std::optional<std::string> text = gate.closed ? std::nullopt : page();
  if (!text) {
    response.status = 503;
    response.set_content("not in time\n", "text/plain; charset=utf-8");
    return;
  }
  response.set_content(*text, type);
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

}  // namespace

HttpServer::HttpServer()
    : server_(std::make_shared<httplib::Server>()), gate_(std::make_shared<Gate>()) {}

/// The library waits for its clients, and a client may take its time: who does not end soon is left
/// behind a closed gate, to end with the process.
HttpServer::~HttpServer() {
  {
    const std::unique_lock<std::shared_mutex> outside(gate_->mutex);
    gate_->closed = true;
  }
  server_->stop();
  if (!thread_.joinable()) return;
  if (ended_.wait_for(kFarewell) == std::future_status::ready) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(const HttpConfig& config) {
  std::unique_ptr<HttpServer> made(new HttpServer());
  httplib::Server& server = *made->server_;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_read_timeout(kTimeout);
  server.set_write_timeout(kTimeout);
  server.set_payload_max_length(1024);
  server.set_keep_alive_max_count(16);
  // The library's default sets SO_REUSEPORT, with which two daemons would share one port in
  // silence.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  made->host_ = config.host;
  errno = 0;
  made->port_ = config.port;
  const bool bound = config.port == 0 ? (made->port_ = server.bind_to_any_port(config.host)) > 0
                                      : server.bind_to_port(config.host, config.port);
  if (bound) return made;
  return fail(
      fmt::format("http.listen: cannot listen on {}: {}; choose another port, or \"http\": "
                  "null for none",
                  made->address(), errno != 0 ? std::strerror(errno) : "refused"));
}

void HttpServer::start(const std::vector<Route>& routes) {
  for (const Route& route : routes) {
    server_->Get(as_pattern(route.path),
                 [gate = gate_, route](const httplib::Request&, httplib::Response& response) {
                   answer(*gate, route.page, route.type, response);
                 });
  }
  std::packaged_task<void()> serve([server = server_] { server->listen_after_bind(); });
  ended_ = serve.get_future();
  thread_ = std::thread(std::move(serve));
}

std::string HttpServer::address() const {
  const bool v6 = host_.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host_, v6 ? "]" : "", port_);
}

}  // namespace tfo
