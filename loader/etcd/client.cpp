// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/client.h"

#include <sodium.h>

#include <map>
#include <utility>

#include "loader/etcd/authenticator.h"
#include "loader/etcd/continuity.h"

namespace tfo::etcd {

class Client::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(EventLoop& on, const Config& checked);
  Result<> open();
  void close();
  Call call(Request request, Callback callback);
  Call with_token(std::function<void(const Outcome<Token>&)> callback);

  EventLoop& loop;
  const Config config;
  Endpoints endpoints;
  ContinuityCheck continuity;
  Authenticator authenticator;
  std::unique_ptr<HttpTransport> transport;

 private:
  struct Pending {
    Request request;
    Callback callback;
    Secret secret_body;  ///< sent instead of the request's, without a token
    bool authenticates = false;
    size_t endpoint = 0;
    size_t tries = 0;      ///< left after this one
    bool renewed = false;  ///< the token was fetched again for it
    Token token;
    int64_t floor = 0;  ///< the highest revision seen when it was sent
    HttpTransport::Id transfer = 0;
  };

  Occasion occasion_of(const Pending& pending) const {
    return {endpoints.url(pending.endpoint), pending.request.operation,
            !pending.request.repeatable};
  }
  uint64_t add(Request request, Callback callback);
  template <class Step>
  void soon(uint64_t id, const Step& step);
  void authenticate(Secret body);
  void get_token(uint64_t id);
  void attempt(uint64_t id);
  void ended(uint64_t id, tl::expected<HttpReply, BrokenTransfer> outcome);
  void succeeded(uint64_t id, nlohmann::json body);
  void failed(uint64_t id, Fault fault);
  bool tried_elsewhere(uint64_t id, Pending& pending, Fault& fault);
  void finish(uint64_t id, Outcome<Answer> outcome);
  void cancel(uint64_t id);

  uint64_t last_ = 0;
  std::map<uint64_t, Pending> pending_;
};

Client::Core::Core(EventLoop& on, const Config& checked)
    : loop(on),
      config(checked),
      endpoints(config.endpoints, config.first_endpoint),
      authenticator(config.user, config.password_file,
                    [this](Secret body) { authenticate(std::move(body)); }) {}

Result<> Client::Core::open() {
  auto opened = HttpTransport::create(loop, config);
  if (!opened) return tl::unexpected(opened.error());
  transport = std::move(*opened);
  return {};
}

void Client::Core::close() {
  pending_.clear();
  transport.reset();
}

/// Not before the caller has its Call.
template <class Step>
void Client::Core::soon(uint64_t id, const Step& step) {
  loop.post([weak = weak_from_this(), id, step] {
    const auto self = weak.lock();
    if (self && self->transport) step(*self, id);
  });
}

uint64_t Client::Core::add(Request request, Callback callback) {
  const uint64_t id = ++last_;
  Pending& pending = pending_[id];
  pending.request = std::move(request);
  pending.callback = std::move(callback);
  pending.endpoint = endpoints.current();
  pending.tries = endpoints.size();
  return id;
}

Call Client::Core::call(Request request, Callback callback) {
  const uint64_t id = add(std::move(request), std::move(callback));
  soon(id, [](Core& self, uint64_t which) { self.get_token(which); });
  return Call([weak = weak_from_this(), id] {
    if (const auto self = weak.lock()) self->cancel(id);
  });
}

Call Client::Core::with_token(std::function<void(const Outcome<Token>&)> callback) {
  const uint64_t id = ++last_;
  const auto wanted = std::make_shared<bool>(true);
  soon(id, [wanted, callback = std::move(callback)](Core& self, uint64_t which) {
    if (*wanted) self.authenticator.get(which, callback);
  });
  return Call([weak = weak_from_this(), id, wanted] {
    *wanted = false;
    if (const auto self = weak.lock()) self->authenticator.drop(id);
  });
}

void Client::Core::authenticate(Secret body) {
  Request request{.operation = "authenticate",
                  .path = "/v3/auth/authenticate",
                  .body = {},
                  .repeatable = true,
                  .linearizable = false};
  const uint64_t id = add(std::move(request), [this](Outcome<Answer> answer) {
    authenticator.taken(std::move(answer));
  });
  pending_[id].authenticates = true;
  pending_[id].secret_body = std::move(body);
  soon(id, [](Core& self, uint64_t which) { self.attempt(which); });
}

void Client::Core::get_token(uint64_t id) {
  if (!pending_.contains(id)) return;
  authenticator.get(id, [this, id](const Outcome<Token>& token) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    if (!token) return finish(id, tl::unexpected(token.error()));
    found->second.token = *token;
    attempt(id);
  });
}

void Client::Core::attempt(uint64_t id) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  Pending& pending = found->second;
  const auto& timeouts = config.timeouts;
  HttpRequest request;
  request.url = endpoints.url(pending.endpoint) + pending.request.path;
  request.body = pending.authenticates ? Secret(pending.secret_body.str())
                                       : Secret(pending.request.body.dump());
  request.token = pending.token;
  request.timeout = pending.request.repeatable ? timeouts.read : timeouts.write;
  pending.floor = continuity.revision();
  pending.transfer = transport->start(
      std::move(request), {.data = nullptr, .done = [weak = weak_from_this(), id](auto outcome) {
                             if (const auto self = weak.lock()) self->ended(id, std::move(outcome));
                           }});
}

void Client::Core::ended(uint64_t id, tl::expected<HttpReply, BrokenTransfer> outcome) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  const Pending& pending = found->second;
  const Occasion occasion = occasion_of(pending);
  if (!outcome) return failed(id, transfer_fault(occasion, outcome.error()));
  auto body = read_reply(occasion, *outcome);
  sodium_memzero(outcome->body.data(), outcome->body.size());
  if (!body) return failed(id, std::move(body.error()));
  succeeded(id, std::move(*body));
}

void Client::Core::succeeded(uint64_t id, nlohmann::json body) {
  const Pending& pending = pending_.at(id);
  Answer answer{std::move(body), endpoints.url(pending.endpoint), {}};
  if (pending.request.linearizable) {
    Fields fields(answer.body);
    const Header header = read_header(fields);
    if (!fields.good() || header.revision == 0) {
      return failed(id, unreadable(occasion_of(pending)));
    }
    answer.continuity = continuity.take(header, pending.floor);
  }
  finish(id, std::move(answer));
}

void Client::Core::failed(uint64_t id, Fault fault) {
  Pending& pending = pending_.at(id);
  const bool ours = !pending.authenticates && !config.user.empty();
  if (ours && !pending.renewed && token_refused(fault)) {
    pending.renewed = true;
    authenticator.forget(pending.token);
    return get_token(id);
  }
  if (!tried_elsewhere(id, pending, fault)) finish(id, tl::unexpected(std::move(fault)));
}

bool Client::Core::tried_elsewhere(uint64_t id, Pending& pending, Fault& fault) {
  if (!worth_another_endpoint(fault)) return false;
  endpoints.failed(pending.endpoint);
  if (!pending.request.repeatable && outcome_unknown(fault)) return false;
  if (pending.tries == 0) {
    if (endpoints.size() > 1) {
      fault.message = "none of " + std::to_string(endpoints.size()) +
                      " etcd endpoints answers; the last said: " + fault.message;
    }
    return false;
  }
  pending.tries--;
  pending.endpoint = endpoints.after(pending.endpoint);
  attempt(id);
  return true;
}

void Client::Core::finish(uint64_t id, Outcome<Answer> outcome) {
  const auto self = shared_from_this();
  auto node = pending_.extract(id);
  if (node) node.mapped().callback(std::move(outcome));
}

void Client::Core::cancel(uint64_t id) {
  const auto node = pending_.extract(id);
  if (!node) return;
  authenticator.drop(id);
  if (transport) transport->cancel(node.mapped().transfer);
}

Client::Client(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Client::~Client() { core_->close(); }

Result<std::unique_ptr<Client>> Client::create(EventLoop& loop, const Config& config) {
  auto checked = check(config);
  if (!checked) return tl::unexpected(checked.error());
  auto core = std::make_shared<Core>(loop, *checked);
  if (auto opened = core->open(); !opened) return tl::unexpected(opened.error());
  return std::unique_ptr<Client>(new Client(std::move(core)));
}

Call Client::call(Request request, Callback callback) {
  return core_->call(std::move(request), std::move(callback));
}

int64_t Client::revision() const { return core_->continuity.revision(); }

EventLoop& Client::loop() { return core_->loop; }

HttpTransport& Client::transport() { return *core_->transport; }

Endpoints& Client::endpoints() { return core_->endpoints; }

const Config& Client::config() const { return core_->config; }

Call Client::with_token(std::function<void(const Outcome<Token>&)> callback) {
  return core_->with_token(std::move(callback));
}

void Client::forget(const Token& token) { core_->authenticator.forget(token); }

}  // namespace tfo::etcd
