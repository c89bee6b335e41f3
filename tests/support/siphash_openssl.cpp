// SPDX-License-Identifier: BSD-2-Clause
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/support/reference.h"

namespace tfo::test {
namespace {

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "OpenSSL SipHash: %s failed\n", what);
  std::abort();
}

EVP_MAC_CTX* new_context() {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  require(mac != nullptr, "EVP_MAC_fetch");
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  EVP_MAC_free(mac);
  require(context != nullptr, "EVP_MAC_CTX_new");
  size_t size = 8;
  const std::array<OSSL_PARAM, 2> parameters = {
      OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
  require(EVP_MAC_CTX_set_params(context, parameters.data()) == 1, "size 8");
  return context;
}

}  // namespace

KeyBytes key_bytes(const std::string& text) {
  KeyBytes key{};
  std::array<unsigned, 4> words{};
  require(text.size() == 35 && std::sscanf(text.c_str(), "%8x-%8x-%8x-%8x", &words[0], &words[1],
                                           &words[2], &words[3]) == 4,
          "test key text");
  for (size_t i = 0; i < key.size(); i++) {
    key[i] = static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)));
  }
  return key;
}

std::array<uint8_t, 8> reference_cookie(const KeyBytes& key, const Address& source,
                                        const Address& destination) {
  static const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(new_context(),
                                                                                 &EVP_MAC_CTX_free);
  const Bytes message = join({source.wire(), destination.wire()});
  std::array<uint8_t, 8> cookie{};
  size_t length = 0;
  require(EVP_MAC_init(context.get(), key.data(), key.size(), nullptr) == 1, "init");
  require(EVP_MAC_update(context.get(), message.data(), message.size()) == 1, "update");
  require(EVP_MAC_final(context.get(), cookie.data(), &length, cookie.size()) == 1, "final");
  require(length == cookie.size(), "8 bytes");
  return cookie;
}

}  // namespace tfo::test
