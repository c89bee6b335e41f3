// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <string>

#include "loader/etcd/http.h"

namespace tfo::etcd {

/// One libcurl easy handle and what it sends and brings. Its address must not change.
class HttpTransfer {
 public:
  /// `has_data` is called from within libcurl when there is something in `received`.
  HttpTransfer(HttpTransport::Id id, HttpRequest request, HttpTransport::Handlers handlers,
               const Config& config, std::function<void(HttpTransport::Id)> has_data);
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;
  ~HttpTransfer();

  CURL* handle() const { return easy_.get(); }
  HttpTransport::Handlers& handlers() { return handlers_; }
  bool stream() const { return request_.stream; }

  /// More body. Not from within libcurl.
  void append(std::string_view text);
  /// What a stream brought since the last call.
  std::string take_received() { return std::exchange(received_, {}); }
  /// The outcome, after libcurl has ended with `code`.
  tl::expected<HttpReply, BrokenTransfer> outcome(CURLcode code);

 private:
  void configure(const Config& config);
  void set_headers();
  size_t give(char* to, size_t room);
  size_t take(const char* from, size_t size);
  static size_t on_read(char* to, size_t size, size_t count, void* self);
  static size_t on_write(char* from, size_t size, size_t count, void* self);

  HttpTransport::Id id_;
  HttpRequest request_;
  HttpTransport::Handlers handlers_;
  std::function<void(HttpTransport::Id)> has_data_;
  size_t limit_;
  size_t given_ = 0;      ///< bytes of the body that libcurl has had
  bool waiting_ = false;  ///< libcurl waits for append()
  bool too_large_ = false;
  std::string received_;
  char error_[CURL_ERROR_SIZE] = {};
  curl_slist* headers_ = nullptr;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_;
};

}  // namespace tfo::etcd
