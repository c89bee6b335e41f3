// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/config.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "loader/dataplane/fd.h"

namespace tfo::etcd {
namespace {

constexpr size_t kPasswordLimit = 4096;

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

bool loopback(const std::string& endpoint) {
  const Url url(curl_url(), curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, endpoint.c_str(), 0) != CURLUE_OK) return false;
  const std::string host = part(url, CURLUPART_HOST);
  const bool numbers =
      std::ranges::all_of(host, [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
  return host == "localhost" || host == "[::1]" || (numbers && host.starts_with("127."));
}

Result<> check_tls(const Config& config) {
  if (config.cert_file.empty() != config.key_file.empty()) {
    return fail("farm.etcd.cert_file and farm.etcd.key_file belong together: give both or none");
  }
  const bool wanted = !config.ca_file.empty() || !config.cert_file.empty();
  for (const std::string& endpoint : config.endpoints) {
    if (wanted && !endpoint.starts_with("https://")) {
      return fail(
          "farm.etcd.endpoints: " + endpoint +
          " does not use TLS although farm.etcd.ca_file or farm.etcd.cert_file is given: write "
          "https://");
    }
  }
  return {};
}

Result<> check_user(const Config& config) {
  if (config.user.empty() != config.password_file.empty()) {
    return fail("farm.etcd.user and farm.etcd.password_file belong together: give both or none");
  }
  for (const std::string& endpoint : config.endpoints) {
    if (!config.user.empty() && endpoint.starts_with("http://") && !loopback(endpoint)) {
      return fail("farm.etcd.endpoints: " + endpoint +
                  " would carry the password of farm.etcd.user in the clear: write https://");
    }
  }
  return {};
}

}  // namespace

Result<std::string> normalise_endpoint(const std::string& text) {
  // What stands before an @ may be a password: never repeated.
  if (text.find('@') != std::string::npos) {
    return fail(
        "farm.etcd.endpoints: an endpoint holds a user or password: use farm.etcd.user and "
        "farm.etcd.password_file");
  }
  const Url url(curl_url(), curl_url_cleanup);
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  if (!scheme || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK ||
      part(url, CURLUPART_HOST).empty()) {
    return fail("farm.etcd.endpoints: \"" + text + "\" is no address: write https://HOST:2379");
  }
  const std::string path = part(url, CURLUPART_PATH);
  if ((!path.empty() && path != "/") || text.find_first_of("?#") != std::string::npos) {
    return fail("farm.etcd.endpoints: \"" + text + "\" has a path: write https://HOST:2379");
  }
  const std::string port = part(url, CURLUPART_PORT);
  return part(url, CURLUPART_SCHEME) + "://" + part(url, CURLUPART_HOST) + ":" +
         (port.empty() ? "2379" : port);
}

Result<Config> check(Config config) {
  if (config.endpoints.empty()) {
    return fail(
        "farm.etcd.endpoints is empty: give the client address of each member, for instance "
        "https://10.0.0.1:2379");
  }
  for (std::string& endpoint : config.endpoints) {
    auto normal = normalise_endpoint(endpoint);
    if (!normal) return tl::unexpected(normal.error());
    endpoint = std::move(*normal);
  }
  if (auto tls = check_tls(config); !tls) return tl::unexpected(tls.error());
  if (auto user = check_user(config); !user) return tl::unexpected(user.error());
  return config;
}

Result<Secret> read_password(const std::string& path) {
  const std::string what = "farm.etcd.password_file " + path;
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(what);
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return fail_errno(what);
  if (!S_ISREG(info.st_mode)) return fail(what + " is not a regular file");
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(what + " may be read by others: run chmod 600 on it");
  }
  Secret secret;
  std::string& text = secret.buffer();
  text.resize(kPasswordLimit + 1);
  const ssize_t got = read(fd.get(), text.data(), text.size());
  if (got < 0) return fail_errno(what);
  if (static_cast<size_t>(got) > kPasswordLimit) return fail(what + " is longer than 4 KiB");
  text.resize(static_cast<size_t>(got));
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  if (text.empty())
    return fail(what + " is empty: its first line is the password of farm.etcd.user");
  return secret;
}

}  // namespace tfo::etcd
