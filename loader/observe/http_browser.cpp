// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/http_browser.h"

#include <arpa/inet.h>
#include <httplib.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tfo {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 6> kHeaders = {{
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
}};

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

/// "localhost" of "localhost:9413", "::1" of "[::1]:9413".
std::string without_port(const std::string& host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

void add_browser_headers(httplib::Response& response) {
  for (const auto& [name, value] : kHeaders) response.set_header(name, value);
}

bool is_loopback(std::string_view host) {
  return host.starts_with("127.") || host == "::1" || host == "localhost";
}

bool host_is_ours(const std::string& listens_on, const httplib::Request& request,
                  httplib::Response& response) {
  const std::string host = without_port(request.get_header_value("Host"));
  if (!is_loopback(listens_on) || host.empty() || host == "localhost" || is_address(host))
    return true;
  response.status = 421;
  response.set_content("this listens on loopback: ask for it as localhost, or by its address\n",
                       "text/plain; charset=utf-8");
  return false;
}

bool takes_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const std::string_view one = accept_encoding.substr(0, accept_encoding.find(','));
    accept_encoding.remove_prefix(std::min(accept_encoding.size(), one.size() + 1));
    const size_t semicolon = one.find(';');
    if (trimmed(one.substr(0, semicolon)) != "gzip") continue;
    if (semicolon == std::string_view::npos) return true;
    const std::string_view weight = trimmed(one.substr(semicolon + 1));
    return weight.find_first_of("123456789") != std::string_view::npos;
  }
  return false;
}

/// A body of a known length from a provider is what the library does not compress itself.
void send_gzip(std::string_view gzip, const char* type, httplib::Response& response) {
  response.set_header("Content-Encoding", "gzip");
  response.set_content_provider(
      gzip.size(), type, [gzip](size_t offset, size_t length, httplib::DataSink& sink) {
        return sink.write(gzip.data() + offset, std::min(length, gzip.size() - offset));
      });
}

}  // namespace tfo
