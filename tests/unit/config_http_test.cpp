// SPDX-License-Identifier: BSD-2-Clause
// The section "http": a unix socket, and TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/config.h"

namespace tfo::config_http_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ConfigResult with_http(const std::string& http) {
  return parse_config(R"({"interfaces": [{"name": "eth0"}], "http": )" + http + "}", "f");
}

std::vector<std::string> errors_of(const std::string& http) {
  std::vector<std::string> all;
  const auto result = with_http(http);
  if (result) return all;
  for (const ConfigError& error : result.error()) all.push_back(error.text());
  return all;
}

TEST(ConfigHttp, TakesAUnixSocket) {
  const auto result = with_http(R"({"listen": "unix:/run/tfoguard/http.sock"})");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->http->path, "/run/tfoguard/http.sock");
  EXPECT_FALSE(result->http->tls);
}

TEST(ConfigHttp, TakesTls) {
  const auto result = with_http(
      R"({"listen": "192.0.2.1:9413", "tls": {"certificate": "/c", "key": "/k", "client_ca": "/a"}})");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->http->host, "192.0.2.1");
  ASSERT_TRUE(result->http->tls);
  EXPECT_EQ(result->http->tls->certificate, "/c");
  EXPECT_EQ(result->http->tls->key, "/k");
  EXPECT_EQ(result->http->tls->client_ca, "/a");
}

TEST(ConfigHttp, RefusesPathsThatAreNone) {
  const std::string longest = "/" + std::string(106, 'a');
  EXPECT_TRUE(with_http(R"({"listen": "unix:)" + longest + "\"}"));
  for (const std::string& path : {std::string("run/a.sock"), std::string(), std::string("/run/"),
                                  longest + "a", std::string("/a\\u0000b")}) {
    EXPECT_THAT(errors_of(R"({"listen": "unix:)" + path + "\"}"),
                ElementsAre(HasSubstr("http.listen: \"unix:")))
        << path;
  }
}

TEST(ConfigHttp, TlsNeedsAllThreeFiles) {
  EXPECT_THAT(errors_of(R"({"tls": {"certificate": "/c", "key": "k"}})"),
              ElementsAre(HasSubstr("http.tls.key: \"k\" is no such path"),
                          HasSubstr("http.tls: has no \"client_ca\"; give")));
  EXPECT_THAT(
      errors_of(R"({"tls": {"certificate": "/c", "key": "/k", "client_ca": "/a", "ca": 1}})"),
      ElementsAre(HasSubstr("http.tls.ca")));
}

TEST(ConfigHttp, AUnixSocketHasNoTls) {
  EXPECT_THAT(errors_of(R"({"listen": "unix:/a", "tls": {}})"),
              ElementsAre(HasSubstr("http.tls: a unix socket is served without TLS; remove")));
}

}  // namespace
}  // namespace tfo::config_http_test
