// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/http_tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

namespace tfo {
namespace {

/// The last thing that OpenSSL has to say, and nothing of it left for the next one.
std::string reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return text == nullptr ? "it is no PEM file of that kind" : text;
}

Error wrong(const char* field, const std::string& file, const std::string& why) {
  return Error{fmt::format("http.tls.{}: {}: {}", field, file, why)};
}

/// Somebody sits at no terminal: a key with a passphrase is an error.
int no_passphrase(char*, int, int, void*) { return 0; }

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Result<File> open_file(const char* field, const std::string& path) {
  File file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return tl::unexpected(wrong(field, path, std::strerror(errno)));
  return file;
}

Result<> read_key(SSL_CTX& context, const std::string& path) {
  auto file = open_file("key", path);
  if (!file) return tl::unexpected(file.error());
  struct stat info{};
  if (fstat(fileno(file->get()), &info) != 0) {
    return tl::unexpected(wrong("key", path, std::strerror(errno)));
  }
  if ((info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return tl::unexpected(wrong(
        "key", path,
        fmt::format("everybody can read or write it (mode {:04o}); chmod 0640 it, and make a new "
                    "key if somebody may have read it",
                    info.st_mode & 07777U)));
  }
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_PrivateKey(file->get(), nullptr, no_passphrase, nullptr), EVP_PKEY_free);
  if (!key) return tl::unexpected(wrong("key", path, reason() + "; give a key without passphrase"));
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1 ||
      SSL_CTX_check_private_key(&context) != 1) {
    return tl::unexpected(wrong("key", path, reason() + "; it must be of http.tls.certificate"));
  }
  return {};
}

}  // namespace

Result<SslContext> read_certificates(const HttpTlsConfig& config) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return fail("http.tls: " + reason());
  for (const auto& [field, path] :
       {std::pair("certificate", &config.certificate), std::pair("client_ca", &config.client_ca)}) {
    if (auto file = open_file(field, *path); !file) return tl::unexpected(file.error());
  }
  if (SSL_CTX_use_certificate_chain_file(context.get(), config.certificate.c_str()) != 1) {
    return tl::unexpected(wrong("certificate", config.certificate, reason()));
  }
  if (auto read = read_key(*context, config.key); !read) return tl::unexpected(read.error());
  const char* authority = config.client_ca.c_str();
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(authority);
  if (names == nullptr || SSL_CTX_load_verify_locations(context.get(), authority, nullptr) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return tl::unexpected(wrong("client_ca", config.client_ca, reason()));
  }
  SSL_CTX_set_client_CA_list(context.get(), names);
  return context;
}

void Certificates::use(SslContext context) {
  const std::lock_guard<std::mutex> lock(mutex_);
  context_ = std::move(context);
}

int Certificates::hello(SSL* ssl, int*, void* self) {
  auto* certificates = static_cast<Certificates*>(self);
  const std::lock_guard<std::mutex> lock(certificates->mutex_);
  if (!certificates->context_) return SSL_CLIENT_HELLO_ERROR;
  SSL_set_SSL_CTX(ssl, certificates->context_.get());
  return SSL_CLIENT_HELLO_SUCCESS;
}

void Certificates::attach(SSL_CTX& server) {
  SSL_CTX_set_min_proto_version(&server, TLS1_2_VERSION);
  SSL_CTX_set_verify(&server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // A session that is taken up again would not show its certificate to an authority that is new.
  SSL_CTX_set_session_cache_mode(&server, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(&server, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(&server, 0);
  SSL_CTX_set_client_hello_cb(&server, hello, this);
}

}  // namespace tfo
