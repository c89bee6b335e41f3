// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/http_transfer.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace tfo::etcd {

HttpTransfer::HttpTransfer(HttpTransport::Id id, HttpRequest request,
                           HttpTransport::Handlers handlers, const Config& config,
                           std::function<void(HttpTransport::Id)> has_data)
    : id_(id),
      request_(std::move(request)),
      handlers_(std::move(handlers)),
      has_data_(std::move(has_data)),
      limit_(config.limits.body),
      easy_(curl_easy_init(), curl_easy_cleanup) {
  if (easy_ == nullptr) return;
  set_headers();
  configure(config);
}

HttpTransfer::~HttpTransfer() {
  easy_.reset();
  for (curl_slist* line = headers_; line != nullptr; line = line->next) {
    sodium_memzero(line->data, std::strlen(line->data));
  }
  curl_slist_free_all(headers_);
  sodium_memzero(received_.data(), received_.size());
}

void HttpTransfer::set_headers() {
  const auto add = [this](const char* line) { headers_ = curl_slist_append(headers_, line); };
  add("Content-Type: application/json");
  // Without a leader, fail instead of hanging.
  add("Grpc-Metadata-hasleader: true");
  add("Expect:");
  if (request_.stream) {
    add("Transfer-Encoding: chunked");
    // Go's server waits for the end of the request's body before it answers, unless the connection
    // ends with the reply anyway (net/http, chunkWriter.writeHeader).
    add("Connection: close");
  }
  if (request_.token) {
    Secret line;
    line.buffer() = "Authorization: ";
    line.buffer() += request_.token->view();
    add(line.str().c_str());
  }
}

void HttpTransfer::configure(const Config& config) {
  CURL* easy = easy_.get();
  const auto set = [easy](auto option, auto value) { curl_easy_setopt(easy, option, value); };
  const auto file = [&](CURLoption option, const std::string& path) {
    if (!path.empty()) set(option, path.c_str());
  };
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, "");  // whatever the environment says
  set(CURLOPT_USERAGENT, "tfoguard");
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_POST, 1L);
  // A body by callback without a seek function: libcurl cannot send it again.
  set(CURLOPT_READFUNCTION, &HttpTransfer::on_read);
  set(CURLOPT_READDATA, static_cast<void*>(this));
  const auto size =
      request_.stream ? curl_off_t{-1} : static_cast<curl_off_t>(request_.body.view().size());
  set(CURLOPT_POSTFIELDSIZE_LARGE, size);
  set(CURLOPT_WRITEFUNCTION, &HttpTransfer::on_write);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name server when a transfer is given up
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config.timeouts.connect.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  file(CURLOPT_CAINFO, config.ca_file);
  file(CURLOPT_SSLCERT, config.cert_file);
  file(CURLOPT_SSLKEY, config.key_file);
}

size_t HttpTransfer::on_read(char* to, size_t size, size_t count, void* self) {
  return static_cast<HttpTransfer*>(self)->give(to, size * count);
}

size_t HttpTransfer::on_write(char* from, size_t size, size_t count, void* self) {
  return static_cast<HttpTransfer*>(self)->take(from, size * count);
}

size_t HttpTransfer::give(char* to, size_t room) {
  std::string& body = request_.body.buffer();
  const size_t size = std::min(room, body.size() - given_);
  if (size == 0 && request_.stream) {
    waiting_ = true;
    return CURL_READFUNC_PAUSE;
  }
  std::copy_n(body.data() + given_, size, to);
  given_ += size;
  return size;
}

size_t HttpTransfer::take(const char* from, size_t size) {
  if (size > limit_ - std::min(limit_, received_.size())) {
    too_large_ = true;
    return 0;  // libcurl ends it with CURLE_WRITE_ERROR
  }
  received_.append(from, size);
  if (request_.stream) has_data_(id_);
  return size;
}

void HttpTransfer::append(std::string_view text) {
  std::string& body = request_.body.buffer();
  body.erase(0, given_);
  given_ = 0;
  body += text;
  if (std::exchange(waiting_, false)) curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
}

tl::expected<HttpReply, BrokenTransfer> HttpTransfer::outcome(CURLcode code) {
  if (code != CURLE_OK) {
    const char* words = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
    return tl::unexpected(BrokenTransfer{code, words, given_ > 0, too_large_});
  }
  HttpReply reply;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &reply.status);
  reply.body = std::exchange(received_, {});
  curl_header* date = nullptr;
  if (curl_easy_header(easy_.get(), "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK) {
    reply.date = std::max<int64_t>(curl_getdate(date->value, nullptr), 0);
  }
  return reply;
}

}  // namespace tfo::etcd
