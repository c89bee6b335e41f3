// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/http.h"

#include <curl/curl.h>
#include <sys/epoll.h>

#include <map>
#include <set>
#include <utility>

#include "loader/etcd/http_transfer.h"

namespace tfo::etcd {

/// libcurl forbids most calls from within its callbacks: those only note what is to be done, and
/// deliver() does it after libcurl has returned.
class HttpTransport::Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(EventLoop& loop, const Config& config) : loop_(loop), config_(config) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() { close(); }

  Result<> open();
  void close();
  Id start(HttpRequest request, Handlers handlers);
  void send(Id id, std::string_view text);
  void cancel(Id id);

 private:
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* unused);
  static int on_timer(CURLM* multi, long delay, void* self);
  void watch(curl_socket_t fd, int what);
  void act(curl_socket_t fd, int events);
  void act_soon();
  void deliver();
  void deliver_data();
  void deliver_ends();
  void finish(Id id, CURLcode code);

  EventLoop& loop_;
  Config config_;
  CURLM* multi_ = nullptr;
  EventLoop::Source timer_;
  std::map<curl_socket_t, EventLoop::Source> sockets_;
  std::map<Id, std::unique_ptr<HttpTransfer>> transfers_;
  std::set<Id> with_data_;
  std::vector<Id> stillborn_;  ///< could not be started
  Id last_ = 0;
};

Result<> HttpTransport::Engine::open() {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_ = kReady == CURLE_OK ? curl_multi_init() : nullptr;
  if (multi_ == nullptr) return fail("libcurl cannot be initialised");
  auto timer = loop_.timer([this] { act(CURL_SOCKET_TIMEOUT, 0); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Engine::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Engine::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(config_.endpoints.size() + 1));
  return {};
}

void HttpTransport::Engine::close() {
  if (multi_ == nullptr) return;
  for (auto& [id, transfer] : transfers_) curl_multi_remove_handle(multi_, transfer->handle());
  transfers_.clear();
  curl_multi_cleanup(multi_);
  multi_ = nullptr;
  sockets_.clear();
  timer_ = EventLoop::Source();
}

HttpTransport::Id HttpTransport::Engine::start(HttpRequest request, Handlers handlers) {
  const Id id = ++last_;
  auto transfer =
      std::make_unique<HttpTransfer>(id, std::move(request), std::move(handlers), config_,
                                     [this](Id ready) { with_data_.insert(ready); });
  curl_easy_setopt(transfer->handle(), CURLOPT_PRIVATE, reinterpret_cast<void*>(id));
  const bool added = transfer->handle() != nullptr &&
                     curl_multi_add_handle(multi_, transfer->handle()) == CURLM_OK;
  transfers_[id] = std::move(transfer);
  if (!added) {
    stillborn_.push_back(id);
    act_soon();
  }
  return id;
}

void HttpTransport::Engine::send(Id id, std::string_view text) {
  const auto found = transfers_.find(id);
  if (found != transfers_.end()) found->second->append(text);
}

void HttpTransport::Engine::cancel(Id id) {
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  const auto transfer = std::move(found->second);
  transfers_.erase(found);
  with_data_.erase(id);
  if (transfer->handle() != nullptr) curl_multi_remove_handle(multi_, transfer->handle());
}

int HttpTransport::Engine::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  static_cast<Engine*>(self)->watch(fd, what);
  return 0;
}

void HttpTransport::Engine::watch(curl_socket_t fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    sockets_.erase(fd);
    return;
  }
  const uint32_t events =
      ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
  const auto found = sockets_.find(fd);
  if (found != sockets_.end()) {
    found->second.watch(events);
    return;
  }
  auto source = loop_.io(fd, events, [this, fd](uint32_t ready) {
    const bool wrong = (ready & (EPOLLERR | EPOLLHUP)) != 0;
    act(fd, ((ready & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                ((ready & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) | (wrong ? CURL_CSELECT_ERR : 0));
  });
  if (source) sockets_.emplace(fd, std::move(*source));  // else the transfer's timeout ends it
}

int HttpTransport::Engine::on_timer(CURLM*, long delay, void* self) {
  auto* engine = static_cast<Engine*>(self);
  if (delay < 0) {
    engine->timer_.stop();
  } else if (delay == 0) {
    engine->timer_.stop();
    engine->act_soon();  // a timer of the loop may be 10 ms late
  } else {
    engine->timer_.start(std::chrono::milliseconds(delay));
  }
  return 0;
}

void HttpTransport::Engine::act_soon() {
  loop_.post([weak = weak_from_this()] {
    if (const auto engine = weak.lock()) engine->act(CURL_SOCKET_TIMEOUT, 0);
  });
}

void HttpTransport::Engine::act(curl_socket_t fd, int events) {
  const auto self = shared_from_this();  // a handler may destroy the transport
  if (multi_ == nullptr) return;
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  deliver();
}

void HttpTransport::Engine::deliver() {
  deliver_data();
  deliver_ends();
}

void HttpTransport::Engine::deliver_data() {
  while (!with_data_.empty()) {
    const Id id = *with_data_.begin();
    with_data_.erase(with_data_.begin());
    const auto found = transfers_.find(id);
    if (found == transfers_.end()) continue;
    const std::string data = found->second->take_received();
    const auto handler = found->second->handlers().data;  // it may cancel its own transfer
    if (handler) handler(data);
  }
}

void HttpTransport::Engine::deliver_ends() {
  for (const Id id : std::exchange(stillborn_, {})) finish(id, CURLE_FAILED_INIT);
  int left = 0;
  // Handlers start and cancel transfers, so each message is asked for anew.
  while (multi_ != nullptr) {
    const CURLMsg* message = curl_multi_info_read(multi_, &left);
    if (message == nullptr) return;
    void* tag = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &tag);
    if (message->msg == CURLMSG_DONE) finish(reinterpret_cast<Id>(tag), message->data.result);
  }
}

void HttpTransport::Engine::finish(Id id, CURLcode code) {
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  const auto transfer = std::move(found->second);
  transfers_.erase(found);
  curl_multi_remove_handle(multi_, transfer->handle());
  if (transfer->handlers().done) transfer->handlers().done(transfer->outcome(code));
}

HttpTransport::HttpTransport(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

HttpTransport::~HttpTransport() { engine_->close(); }

Result<std::unique_ptr<HttpTransport>> HttpTransport::create(EventLoop& loop,
                                                             const Config& config) {
  auto engine = std::make_shared<Engine>(loop, config);
  if (auto opened = engine->open(); !opened) return tl::unexpected(opened.error());
  return std::unique_ptr<HttpTransport>(new HttpTransport(std::move(engine)));
}

HttpTransport::Id HttpTransport::start(HttpRequest request, Handlers handlers) {
  return engine_->start(std::move(request), std::move(handlers));
}

void HttpTransport::send(Id id, std::string_view text) { engine_->send(id, text); }

void HttpTransport::cancel(Id id) { engine_->cancel(id); }

}  // namespace tfo::etcd
