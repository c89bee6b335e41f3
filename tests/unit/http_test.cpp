// SPDX-License-Identifier: BSD-2-Clause
// The HTTP server with real clients: routes, a unix socket, TLS with client certificates.
#include "loader/observe/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kText = "text/plain";

std::vector<HttpServer::Route> routes() {
  using Content = std::optional<HttpServer::Content>;
  return {{"/a.b", kText, [] { return Content("yes"); }},
          {"/bad", kText, [] { return Content(HttpServer::Content("why\n", 503)); }},
          {"/big", kText, [] { return Content(std::string(3 << 20, 'x')); }},
          {"/late", kText, [] { return Content(); }}};
}

std::unique_ptr<HttpServer> serve(const HttpConfig& config) {
  auto server = HttpServer::open(config);
  EXPECT_TRUE(server) << (server ? "" : server.error().message);
  if (!server) return nullptr;
  (*server)->start(routes());
  return std::move(*server);
}

int port_of(const HttpServer& server) {
  const std::string address = server.address();
  return std::stoi(address.substr(address.rfind(':') + 1));
}

/// A directory with what `openssl` makes there.
class HttpFiles : public ::testing::Test {
 protected:
  static fs::path path(const std::string& name) { return directory_ / name; }

  static void sh(const std::string& command) {
    const std::string line = "cd '" + directory_.string() + "' && { " + command + "; } 2>>log";
    ASSERT_EQ(std::system(line.c_str()), 0) << command;
  }

  /// NAME.key and NAME.pem, signed by AUTHORITY (itself if it has that name).
  static void certificate(const std::string& name, const std::string& authority) {
    const std::string make =
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + name +
        ".key -subj /CN=" + name;
    if (name == authority) {
      sh(make + " -x509 -days 2 -out " + name + ".pem");
    } else {
      sh(make + " -out csr && openssl x509 -req -in csr -days 2 -CAcreateserial -CA " + authority +
         ".pem -CAkey " + authority + ".key -out " + name + ".pem");
    }
  }

  HttpTlsConfig tls() const { return {path("node.pem"), path("node.key"), path("ours.pem")}; }

  static void SetUpTestSuite() {
    std::string pattern = fs::temp_directory_path() / "tfo-http-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    certificate("ours", "ours");
    certificate("theirs", "theirs");
    certificate("node", "ours");
    certificate("scraper", "ours");
    certificate("stranger", "theirs");
  }

  /// Status of GET /a.b with this client certificate (empty: without); 0: no connection.
  int get(const HttpServer& server, const std::string& name) const {
    httplib::SSLClient client = name.empty()
                                    ? httplib::SSLClient("127.0.0.1", port_of(server))
                                    : httplib::SSLClient("127.0.0.1", port_of(server),
                                                         path(name + ".pem"), path(name + ".key"));
    client.enable_server_certificate_verification(false);
    const auto got = client.Get("/a.b");
    return got ? got->status : 0;
  }

  std::string error(const HttpTlsConfig& config) const {
    const auto read = read_certificates(config);
    return read ? "" : read.error().message;
  }

  static void TearDownTestSuite() { fs::remove_all(directory_); }

 private:
  inline static fs::path directory_;
};

TEST(Http, ServesItsRoutesAndNothingElse) {
  const auto server = serve({.port = 0});
  ASSERT_TRUE(server);
  httplib::Client client("127.0.0.1", port_of(*server));
  EXPECT_EQ(client.Get("/a.b")->body, "yes");
  EXPECT_EQ(client.Get("/a.b")->get_header_value("Content-Type"), kText);
  EXPECT_EQ(client.Get("/bad")->status, 503);
  EXPECT_EQ(client.Get("/bad")->body, "why\n");
  EXPECT_EQ(client.Get("/late")->status, 503);
  EXPECT_EQ(client.Get("/axb")->status, 404) << "a path is no pattern";
  EXPECT_EQ(client.Get("/a.b/")->status, 404);
}

TEST(Http, WhatIsLargeIsSentAsItIs) {
  const auto server = serve({.port = 0});
  ASSERT_TRUE(server);
  httplib::Client client("127.0.0.1", port_of(*server));
  const httplib::Headers gzip = {{"Accept-Encoding", "gzip"}};
  EXPECT_EQ(client.Get("/a.b", gzip)->get_header_value("Content-Encoding"), "gzip");
  EXPECT_EQ(client.Get("/a.b", gzip)->body, "yes");
  const auto big = client.Get("/big", gzip);
  EXPECT_EQ(big->status, 200);
  EXPECT_EQ(big->get_header_value("Content-Encoding"), "");
  EXPECT_EQ(big->get_header_value("Content-Type"), kText);
  EXPECT_EQ(big->body, std::string(3 << 20, 'x'));
}

TEST_F(HttpFiles, KnowsWhetherItLetsEverybodyIn) {
  const auto open = [](const HttpConfig& config) {
    const auto server = HttpServer::open(config);
    return server && (*server)->is_open_to_others();
  };
  EXPECT_TRUE(open({.host = "0.0.0.0", .port = 0}));
  EXPECT_FALSE(open({.host = "127.0.0.1", .port = 0}));
  EXPECT_FALSE(open({.host = "0.0.0.0", .port = 0, .tls = tls()}));
  EXPECT_FALSE(open({.path = path("http.sock")}));
}

/// Each holds one of few threads.
TEST_F(HttpFiles, WhoAsksForNothingMoreIsLetGo) {
  const auto server = serve({.port = 0});
  ASSERT_TRUE(server);
  const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port_of(*server)));
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET /a.b HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_GT(send(client.get(), request.data(), request.size(), MSG_NOSIGNAL), 0);
  const timeval patience{3, 0};  // the library's own is five seconds
  setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  char answer[4096];
  ssize_t got = 0;
  while ((got = recv(client.get(), answer, sizeof(answer), 0)) > 0) {
  }
  EXPECT_EQ(got, 0) << "the connection is still held";
}

TEST_F(HttpFiles, AUnixSocketIsForItsGroupAndGoesWithTheServer) {
  const HttpConfig config{.path = path("http.sock")};
  auto server = serve(config);
  ASSERT_TRUE(server);
  struct stat info{};
  ASSERT_EQ(lstat(config.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0660U);
  EXPECT_EQ(server->address(), "unix:" + config.path);
  httplib::Client client(config.path);
  client.set_address_family(AF_UNIX);
  EXPECT_EQ(client.Get("/a.b")->body, "yes");
  const auto second = HttpServer::open(config);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("http.listen: somebody serves " + config.path));
  EXPECT_EQ(client.Get("/a.b")->body, "yes") << "the first one goes on";
  server.reset();
  EXPECT_FALSE(fs::exists(config.path));
}

TEST_F(HttpFiles, AnOldSocketIsReplacedAndNothingElseIs) {
  const HttpConfig config{.path = path("http.sock")};
  {
    const Fd old(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    config.path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(old.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_TRUE(fs::exists(config.path));
  EXPECT_TRUE(serve(config)) << "nobody served it";
  std::ofstream(config.path) << "mine";
  const auto refused = HttpServer::open(config);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("exists and is no socket; remove it"));
  EXPECT_TRUE(fs::is_regular_file(config.path));
}

TEST_F(HttpFiles, OnlyClientsOfTheAuthorityAreServed) {
  const auto server = serve({.port = 0, .tls = tls()});
  ASSERT_TRUE(server);
  EXPECT_EQ(server->url(), "https://" + server->address());
  EXPECT_EQ(get(*server, "scraper"), 200);
  EXPECT_EQ(get(*server, "scraper"), 200);
  EXPECT_EQ(get(*server, ""), 0);
  EXPECT_EQ(get(*server, "stranger"), 0);
  httplib::Client plain("127.0.0.1", port_of(*server));
  EXPECT_FALSE(plain.Get("/a.b"));
}

TEST_F(HttpFiles, OldVersionsOfTlsAreRefused) {
  const auto server = serve({.port = 0, .tls = tls()});
  ASSERT_TRUE(server);
  const std::string client = "openssl s_client -connect " + server->address() +
                             " -cert scraper.pem -key scraper.key </dev/null >/dev/null ";
  sh(client + "-tls1_2");
  sh(client + "-tls1_3");
  sh("! " + client + "-tls1_1 -cipher DEFAULT@SECLEVEL=0");
}

TEST_F(HttpFiles, NewCertificatesAreTakenWhileItRuns) {
  const auto server = serve({.port = 0, .tls = tls()});
  ASSERT_TRUE(server);
  EXPECT_EQ(get(*server, "stranger"), 0);
  HttpTlsConfig other = tls();
  other.client_ca = path("theirs.pem");
  auto read = read_certificates(other);
  ASSERT_TRUE(read) << read.error().message;
  server->use(std::move(*read));
  EXPECT_EQ(get(*server, "stranger"), 200);
  EXPECT_EQ(get(*server, "scraper"), 0);
}

TEST_F(HttpFiles, ErrorsNameFieldAndFile) {
  HttpTlsConfig config = tls();
  EXPECT_EQ(error(config), "");
  config.certificate = path("none.pem");
  EXPECT_EQ(error(config),
            "http.tls.certificate: " + config.certificate + ": No such file or directory");
  config = tls();
  config.client_ca = path("node.key");
  EXPECT_THAT(error(config), HasSubstr("http.tls.client_ca: " + config.client_ca + ": "));
  config = tls();
  config.key = path("scraper.key");
  EXPECT_THAT(error(config), HasSubstr("http.tls.key: " + config.key + ": "));
  EXPECT_THAT(error(config), HasSubstr("it must be of http.tls.certificate"));
  config = tls();
  fs::permissions(config.key, fs::perms(0644));
  EXPECT_THAT(error(config), HasSubstr("everybody can read or write it (mode 0644)"));
  fs::permissions(config.key, fs::perms(0640));
  EXPECT_EQ(error(config), "");
  sh("openssl ec -in node.key -aes128 -passout pass:x -out locked.key && chmod 600 locked.key");
  config.key = path("locked.key");
  EXPECT_THAT(error(config), HasSubstr("http.tls.key: " + config.key + ": "));
}

}  // namespace
}  // namespace tfo
