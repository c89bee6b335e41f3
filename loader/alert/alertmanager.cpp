// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/alertmanager.h"

#include <curl/curl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "loader/etcd/json.h"
#include "loader/keys/redact.h"

namespace tfo::alert {

using nlohmann::json;

namespace {

constexpr size_t kMaxReply = 65'536;
constexpr size_t kShownReply = 200;

std::string time_text(int64_t unix_s) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_s)));
}

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
  return text;
}

/// What makes it one alert for Alertmanager: all that its labels are made of.
std::string label_key(const Alert& alert) {
  return std::string(to_string(alert.severity)) + " " + alert.pool + " " + alert.id();
}

}  // namespace

Result<std::string> alertmanager_url(const std::string& text) {
  // What stands before an @ may be a password: never repeated.
  if (text.find('@') != std::string::npos) return fail("holds a user or a password");
  if (text.find_first_of("?#") != std::string::npos) return fail("holds a query");
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  if (!scheme || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK ||
      part(url.get(), CURLUPART_HOST).empty()) {
    return fail("is no address of an Alertmanager");
  }
  std::string normal = part(url.get(), CURLUPART_URL);
  while (normal.ends_with('/')) normal.pop_back();
  return normal;
}

json alertmanager_item(const Alert& alert, const std::string& instance, const std::string& runbooks,
                       int64_t ends_at) {
  const json all = alert_json(alert);
  json labels = {{"rule", alert.rule},
                 {"kind", all["kind"]},
                 {"severity", to_string(alert.severity)},
                 {"instance", instance}};
  if (!alert.subject.empty()) labels["victim"] = alert.subject;
  if (!alert.pool.empty()) labels["pool"] = alert.pool;
  json annotations = {{"summary", all["summary"]},
                      {"description", alert_line(alert)},
                      {"runbook_url", fmt::format("{}/{}", runbooks, alert.runbook())}};
  json numbers = {{"first_seen", time_text(alert.first_seen)},
                  {"last_seen", time_text(alert.last_seen)},
                  {"absorbed", alert.absorbed}};
  for (const char* name :
       {"rate", "peak_rate", "share", "baseline", "packets", "bytes", "sources"}) {
    if (alert.measured) numbers[name] = all[name];
  }
  annotations["numbers"] = numbers.dump();
  if (!alert.evidence.is_null()) {
    annotations["evidence"] = alert.evidence.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  // Alertmanager refuses an end before the beginning, as a clock that was put back makes it, and
  // goes on with what ends in the future.
  return {{"labels", std::move(labels)},
          {"annotations", std::move(annotations)},
          {"startsAt", time_text(std::min(ends_at, alert.raised_at))},
          {"endsAt", time_text(ends_at)}};
}

struct Alertmanager::Peer {
  struct Resolved {
    uint64_t number = 0;
    int64_t at = 0;  // unix seconds
    json item;
    std::optional<int64_t> until = {};  // steady ms; nothing: it was not taken yet
  };
  PeerStatus status;
  bool news = true;      // it has not heard of the last change
  int64_t next_at = 0;   // steady ms: all that is raised goes again
  int64_t retry_at = 0;  // steady ms: not before
  std::chrono::milliseconds backoff{0};
  std::optional<etcd::HttpTransport::Id> transfer;
  std::map<std::string, Resolved> resolved;
  uint64_t sent = 0;  // the last one of `resolved` in the transfer
  uint64_t last = 0;

  size_t waiting() const {
    return static_cast<size_t>(
        std::ranges::count_if(resolved, [](const auto& entry) { return !entry.second.until; }));
  }
};

Alertmanager::Alertmanager(std::string instance, const AlertmanagerConfig& config, Timing timing)
    : instance_(std::move(instance)),
      runbooks_(config.runbooks),
      kinds_(config.kinds),
      resend_(config.resend),
      expires_(config.expires),
      timing_(timing) {}

Alertmanager::~Alertmanager() = default;

Result<std::unique_ptr<Alertmanager>> Alertmanager::create(EventLoop& loop,
                                                           const AlertmanagerConfig& config,
                                                           std::string instance, Timing timing) {
  std::unique_ptr<Alertmanager> made(new Alertmanager(std::move(instance), config, timing));
  etcd::Config http;
  http.endpoints = config.urls;
  http.ca_file = config.ca_file;
  http.cert_file = config.cert_file;
  http.key_file = config.key_file;
  http.limits.body = kMaxReply;
  auto transport = etcd::HttpTransport::create(loop, http);
  if (!transport) return tl::unexpected(transport.error());
  made->transport_ = std::move(*transport);
  for (const std::string& url : config.urls) {
    made->peers_.push_back(std::make_unique<Peer>());
    made->peers_.back()->status.url = url;
  }
  return made;
}

bool Alertmanager::wants(const Alert& alert) const {
  return std::ranges::find(kinds_, alert.kind()) != kinds_.end();
}

void Alertmanager::take(const Change& change) {
  if (change.what == Change::What::kEvidence) return;  // goes with the next post
  if (!wants(change.alert)) return;
  if (change.what == Change::What::kCleared) {
    resolve(change.alert, change.alert.severity, change.at);
  } else if (change.what == Change::What::kSeverity) {
    resolve(change.alert, change.was, change.at);
  }
  for (const auto& peer : peers_) {
    peer->news = true;
    if (change.what != Change::What::kCleared) peer->resolved.erase(label_key(change.alert));
  }
}

/// Another severity is another alert to Alertmanager: the one before ends.
void Alertmanager::resolve(Alert alert, Severity severity, int64_t at) {
  alert.severity = severity;
  const json item = alertmanager_item(alert, instance_, runbooks_, at);
  for (const auto& peer : peers_) {
    peer->resolved.insert_or_assign(label_key(alert), Peer::Resolved{++peer->last, at, item});
    if (peer->resolved.size() <= kMostResolved) continue;
    peer->resolved.erase(std::ranges::min_element(
        peer->resolved, {}, [](const auto& entry) { return entry.second.number; }));
  }
}

void Alertmanager::tick(Instant now, const std::vector<Alert>& raised) {
  now_ = now;
  std::vector<Alert> active;
  std::ranges::copy_if(raised, std::back_inserter(active),
                       [&](const Alert& alert) { return wants(alert); });
  for (const auto& peer : peers_) {
    if (peer->transfer || now.steady_ms < peer->retry_at) continue;
    std::erase_if(peer->resolved, [&](const auto& entry) {
      return entry.second.until.value_or(now.steady_ms) < now.steady_ms;
    });
    const bool any = !active.empty() || !peer->resolved.empty();
    const bool again = any && now.steady_ms >= peer->next_at;
    if (!peer->news && !again && peer->waiting() == 0) continue;
    post(*peer, active);
  }
}

void Alertmanager::post(Peer& peer, const std::vector<Alert>& active) {
  const auto expires = std::chrono::duration_cast<std::chrono::seconds>(expires_);
  const int64_t ends_at = now_.unix_s + expires.count();
  json body = json::array();
  for (const auto& [key, resolved] : peer.resolved) body.push_back(resolved.item);
  for (const Alert& alert : active) {
    body.push_back(alertmanager_item(alert, instance_, runbooks_, ends_at));
  }
  peer.news = false;
  if (body.empty()) return;
  peer.sent = peer.last;
  etcd::HttpRequest request{.url = peer.status.url + "/api/v2/alerts", .timeout = timing_.timeout};
  request.body.buffer() = body.dump(-1, ' ', false, json::error_handler_t::replace);
  peer.transfer = transport_->start(
      std::move(request),
      {.data = {}, .done = [this, &peer](const auto& reply) { answered(peer, reply); }});
}

void Alertmanager::answered(Peer& peer,
                            const tl::expected<etcd::HttpReply, etcd::BrokenTransfer>& reply) {
  peer.transfer.reset();
  const bool taken = reply && reply->status / 100 == 2;
  if (taken) {
    ++peer.status.posts;
    peer.status.error.clear();
    peer.backoff = std::chrono::milliseconds(0);
    peer.next_at = now_.steady_ms + resend_.count();
    for (auto& [key, resolved] : peer.resolved) {
      if (resolved.number > peer.sent || resolved.until) continue;
      resolved.until = now_.steady_ms + expires_.count();
    }
    std::erase_if(peer.resolved, [&](const auto& entry) {
      return entry.second.number <= peer.sent && reply->date > entry.second.at;
    });
    return;
  }
  const std::string error =
      reply ? fmt::format("HTTP status {}: {}", reply->status,
                          without_keys(etcd::printable(reply->body, kShownReply)))
            : without_keys(reply.error().text);
  ++peer.status.failures;
  peer.status.error = error.empty() ? "no answer" : error;
  peer.news = true;
  peer.backoff = peer.backoff.count() == 0 ? timing_.backoff : std::min(peer.backoff * 2, resend_);
  peer.retry_at = now_.steady_ms + peer.backoff.count();
}

std::vector<PeerStatus> Alertmanager::peers() const {
  std::vector<PeerStatus> all;
  for (const auto& peer : peers_) {
    all.push_back(peer->status);
    all.back().resolved = peer->waiting();
    all.back().posting = peer->transfer.has_value();
  }
  return all;
}

}  // namespace tfo::alert
