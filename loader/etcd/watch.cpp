// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/watch.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

namespace tfo::etcd {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = WatchNotice::Kind;
using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{100};
constexpr unsigned kMostDoublings = 10;
constexpr std::string_view kProgressRequest = "{\"progress_request\":{}}\n";

}  // namespace

class Watch::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Client& client, WatchTarget target, Handler handler)
      : client_(client),
        target_(std::move(target)),
        handler_(std::move(handler)),
        tracker_(target_.from, client.config().limits.body),
        lines_(client.config().limits.line),
        endpoint_(client.endpoints().current()) {}

  Result<> open();
  void close();
  int64_t next() const { return tracker_.next(); }
  milliseconds silent() const {
    return std::chrono::duration_cast<milliseconds>(Clock::now() - heard_);
  }
  const std::string& url() const { return client_.endpoints().url(endpoint_); }

 private:
  enum class State { kWaiting, kOpening, kOpen, kEnded };

  void on_timer();
  void connect();
  void start(Token token);
  HttpRequest request() const;
  void data(std::string_view piece);
  void line(const std::string& text);
  void ended(const tl::expected<HttpReply, BrokenTransfer>& outcome);
  void take(WatchNotice notice);
  void interrupted(const std::string& why);
  void end(WatchNotice notice);
  void hang_up();
  milliseconds pause();
  void tell(WatchNotice notice);
  Occasion occasion() const { return {url(), "watch", false}; }

  Client& client_;
  WatchTarget target_;
  Handler handler_;
  WatchTracker tracker_;
  LineSplitter lines_;
  size_t endpoint_;
  State state_ = State::kWaiting;
  EventLoop::Source timer_;
  Call token_call_;
  Token token_;
  bool renewed_ = false;  ///< the token was fetched again since the last sign of life
  HttpTransport::Id transfer_ = 0;
  unsigned attempts_ = 0;  ///< in vain, since the last sign of life
  bool pinged_ = false;
  Clock::time_point begun_;                 ///< this stream, or what it said last
  Clock::time_point heard_ = Clock::now();  ///< what any stream said last
};

Result<> Watch::Core::open() {
  auto timer = client_.loop().timer([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_timer();
  });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  timer_.start(milliseconds(0));
  return {};
}

void Watch::Core::close() {
  hang_up();
  state_ = State::kEnded;
  handler_ = nullptr;
  timer_ = EventLoop::Source();
}

void Watch::Core::on_timer() {
  const Timeouts& timeouts = client_.config().timeouts;
  if (state_ == State::kWaiting) return connect();
  if (state_ == State::kEnded) return;
  const auto silence = std::chrono::duration_cast<milliseconds>(Clock::now() - begun_);
  if (silence >= timeouts.silence) {
    return interrupted(occasion()
                           .fault(FaultKind::kNoAnswer, "silent for " +
                                                            std::to_string(silence.count()) +
                                                            " ms: trying the next endpoint")
                           .message);
  }
  if (state_ == State::kOpen && !pinged_ && silence >= timeouts.ping) {
    pinged_ = true;
    client_.transport().send(transfer_, kProgressRequest);
  }
  const bool ping_next = state_ == State::kOpen && !pinged_;
  timer_.start(std::max(milliseconds(1), (ping_next ? timeouts.ping : timeouts.silence) - silence));
}

void Watch::Core::connect() {
  state_ = State::kOpening;
  begun_ = Clock::now();
  tracker_.reopened();
  lines_ = LineSplitter(client_.config().limits.line);
  token_call_ = client_.with_token([weak = weak_from_this()](const Outcome<Token>& token) {
    const auto self = weak.lock();
    if (!self) return;
    if (token) return self->start(*token);
    self->interrupted(token.error().message);
  });
}

HttpRequest Watch::Core::request() const {
  nlohmann::json create = {{"key", to_base64(target_.key)},
                           {"start_revision", to_text(tracker_.next())},
                           {"fragment", true}};
  if (!target_.range_end.empty()) create["range_end"] = to_base64(target_.range_end);
  HttpRequest request;
  request.url = url() + "/v3/watch";
  request.body = Secret(nlohmann::json{{"create_request", std::move(create)}}.dump() + "\n");
  request.token = token_;
  request.stream = true;
  return request;
}

void Watch::Core::start(Token token) {
  token_ = std::move(token);
  begun_ = Clock::now();
  const auto weak = weak_from_this();
  transfer_ = client_.transport().start(request(), {.data =
                                                        [weak](std::string_view piece) {
                                                          if (const auto self = weak.lock())
                                                            self->data(piece);
                                                        },
                                                    .done =
                                                        [weak](const auto& outcome) {
                                                          if (const auto self = weak.lock()) {
                                                            self->ended(outcome);
                                                          }
                                                        }});
  timer_.start(client_.config().timeouts.silence);
}

void Watch::Core::data(std::string_view piece) {
  const HttpTransport::Id transfer = transfer_;
  lines_.add(piece);
  while (const auto text = lines_.next()) {
    line(*text);
    if (transfer_ != transfer) return;  // hung up
  }
  if (lines_.overflown()) {
    WatchNotice notice;
    notice.kind = Kind::kTooLarge;
    notice.text = "etcd sends a line longer than this client takes: read, and watch from there";
    take(std::move(notice));
  }
}

void Watch::Core::line(const std::string& text) {
  if (text.empty()) return;
  const HttpTransport::Id transfer = transfer_;
  auto message = parse_watch_line(text);
  if (!message) return interrupted(unreadable(occasion()).message);
  heard_ = begun_ = Clock::now();
  pinged_ = false;
  for (WatchNotice& notice : tracker_.take(std::move(*message))) {
    take(std::move(notice));
    if (transfer_ != transfer) return;
  }
}

void Watch::Core::ended(const tl::expected<HttpReply, BrokenTransfer>& outcome) {
  const HttpTransport::Id transfer = transfer_;
  if (!outcome) return interrupted(transfer_fault(occasion(), outcome.error()).message);
  const std::string rest = lines_.take_rest();
  if (outcome->status == 200) {
    if (!rest.empty()) line(rest);
    if (transfer_ == transfer)
      interrupted(occasion().fault(FaultKind::kNoAnswer, "the stream ended").message);
    return;
  }
  const auto reply = read_reply(occasion(), {outcome->status, rest});
  if (reply) return interrupted(unreadable(occasion()).message);
  if (!token_refused(reply.error())) return interrupted(reply.error().message);
  WatchNotice notice;
  notice.kind = Kind::kDenied;
  notice.text = reply.error().message;
  take(std::move(notice));
}

void Watch::Core::take(WatchNotice notice) {
  if (notice.kind == Kind::kInterrupted) {
    return interrupted(occasion().fault(FaultKind::kUnavailable, notice.text).message);
  }
  // A member that has forgotten the token says the same as one that refuses the user.
  if (notice.kind == Kind::kDenied && !client_.config().user.empty() && !renewed_) {
    renewed_ = true;
    client_.forget(token_);
    hang_up();
    return connect();
  }
  if (notice.ended()) return end(std::move(notice));
  if (notice.kind == Kind::kCreated) {
    state_ = State::kOpen;
    timer_.start(client_.config().timeouts.ping);
  } else {
    attempts_ = 0;
    renewed_ = false;
  }
  tell(std::move(notice));
}

void Watch::Core::interrupted(const std::string& why) {
  hang_up();
  client_.endpoints().failed(endpoint_);
  endpoint_ = client_.endpoints().after(endpoint_);
  state_ = State::kWaiting;
  attempts_++;
  timer_.start(pause());
  WatchNotice notice;
  notice.kind = Kind::kInterrupted;
  notice.text = why;
  tell(std::move(notice));
}

/// None for the first round over all endpoints, then growing, and never the same for two watches.
milliseconds Watch::Core::pause() {
  const size_t round = client_.endpoints().size();
  if (attempts_ < round) return milliseconds(0);
  const auto doublings = std::min<size_t>(attempts_ - round, kMostDoublings);
  const milliseconds most =
      std::min(client_.config().timeouts.backoff, milliseconds(kFirstBackoff.count() << doublings));
  const auto half = static_cast<uint32_t>(most.count() / 2);
  return milliseconds(half + randombytes_uniform(half + 1));
}

void Watch::Core::end(WatchNotice notice) {
  notice.text = "etcd " + url() + ": watch: " + notice.text;
  hang_up();
  state_ = State::kEnded;
  timer_.stop();
  tell(std::move(notice));
}

void Watch::Core::hang_up() {
  token_call_.reset();
  client_.transport().cancel(std::exchange(transfer_, 0));
  pinged_ = false;
}

void Watch::Core::tell(WatchNotice notice) {
  const auto self = shared_from_this();
  const Handler handler = handler_;  // it may destroy the watch
  if (handler) handler(std::move(notice));
}

Watch::Watch(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Watch::~Watch() { core_->close(); }

Result<std::unique_ptr<Watch>> Watch::open(Client& client, WatchTarget target, Handler handler) {
  auto core = std::make_shared<Core>(client, std::move(target), std::move(handler));
  if (auto opened = core->open(); !opened) return tl::unexpected(opened.error());
  return std::unique_ptr<Watch>(new Watch(std::move(core)));
}

int64_t Watch::next_revision() const { return core_->next(); }

milliseconds Watch::silent_for() const { return core_->silent(); }

std::string Watch::endpoint() const { return core_->url(); }

}  // namespace tfo::etcd
