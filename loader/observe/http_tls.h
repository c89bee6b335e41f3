// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>

#include "loader/config.h"
#include "loader/result.h"

namespace tfo {

using SslContext = std::shared_ptr<SSL_CTX>;

/// Certificate, key and the clients' authority as the files hold them now. Errors name field and
/// file: one that cannot be read, is no PEM, whose key belongs to another certificate, or a key
/// that everybody can read.
Result<SslContext> read_certificates(const HttpTlsConfig& config);

/// What new connections are served with; another one at any moment.
class Certificates {
 public:
  void use(SslContext context);

  /// Makes `server` take TLS 1.2 and above, only from clients with a certificate, and each
  /// connection what was given to use() last. Outlives `server`.
  void attach(SSL_CTX& server);

 private:
  static int hello(SSL* ssl, int* alert, void* self);
  std::mutex mutex_;
  SslContext context_;
};

}  // namespace tfo
