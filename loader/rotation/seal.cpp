// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/seal.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "loader/etcd/json.h"
#include "loader/rotation/object_reader.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

using BoxReader = ObjectReader<nlohmann::json>;

constexpr int64_t kSealVersion = 1;
constexpr size_t kMaxValue = size_t{1} << 20;
constexpr size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Each name with its length before it, so that no two places read alike.
std::string bound_to(const Place& place, const Counter& counter, uint32_t number) {
  std::string data = "tfoguard sealed value 1";
  for (const std::string* part : {&place.farm, &place.pool, &place.name}) {
    data += fmt::format(" {} {}", part->size(), *part);
  }
  return data + fmt::format(" {} {} {}", counter.incarnation, counter.sequence, number);
}

/// The parts of a value, none of them known to be genuine.
struct Parts {
  uint32_t key = 0;
  Counter counter;
  std::string nonce;
  std::string box;
};

Result<Parts> read_parts(std::string_view value) {
  if (value.size() > kMaxValue) return fail("it is larger than 1 MiB");
  const auto json = etcd::parse_object(value);
  if (!json) return fail("it is not a sealed value");
  BoxReader reader(*json, "");
  if (reader.number<int64_t>("v") != kSealVersion) {
    reader.wrong("v", fmt::format("is not {}: it is none of this release's values", kSealVersion));
  }
  Parts parts;
  parts.key = reader.number<uint32_t>("key");
  parts.counter = reader.counter("counter");
  const auto nonce = etcd::from_base64(reader.text("nonce"));
  const auto box = etcd::from_base64(reader.text("box"));
  if (auto read = reader.finish(); !read) return tl::unexpected(std::move(read.error()));
  if (!nonce || nonce->size() != kNonce || !box || box->size() < kTag) {
    return fail("it is not a sealed value: its nonce or box is damaged");
  }
  parts.nonce = *nonce;
  parts.box = *box;
  return parts;
}

}  // namespace

std::string Sealer::seal(const FarmKey& key, uint32_t number, const std::string& name,
                         const Counter& counter, std::string_view text) const {
  const auto line = std::find_if(key.lines_.begin(), key.lines_.end(),
                                 [&](const FarmKey::Line& l) { return l.number == number; });
  if (line == key.lines_.end()) std::abort();  // the caller's promise; nothing else is safe
  std::string nonce(kNonce, '\0');
  randombytes_buf(nonce.data(), nonce.size());
  const std::string bound = bound_to({.farm = farm_, .pool = pool_, .name = name}, counter, number);
  std::string box(text.size() + kTag, '\0');
  unsigned long long length = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reinterpret_cast<unsigned char*>(box.data()), &length, bytes_of(text), text.size(),
      bytes_of(bound), bound.size(), nullptr, bytes_of(nonce), line->key.data());
  return nlohmann::json{{"v", kSealVersion},
                        {"key", number},
                        {"counter", counter_json<nlohmann::json>(counter)},
                        {"nonce", etcd::to_base64(nonce)},
                        {"box", etcd::to_base64(box)}}
      .dump();
}

Result<Opened> Sealer::open(const FarmKey& key, uint32_t min_key, const std::string& name,
                            std::string_view value) const {
  const Place place{.farm = farm_, .pool = pool_, .name = name};
  const std::string where = fmt::format("{}{}", pool_prefix(farm_, pool_), etcd::printable(name));
  const auto parts = read_parts(value);
  if (!parts) return fail(where + ": " + parts.error().message);
  const auto line = std::find_if(key.lines_.begin(), key.lines_.end(),
                                 [&](const FarmKey::Line& l) { return l.number == parts->key; });
  if (line == key.lines_.end()) {
    return fail(
        fmt::format("{}: it is sealed under line {} of the farm key file, which this node "
                    "does not have; copy the file from a node that has it",
                    where, parts->key));
  }
  if (parts->key < min_key) {
    return fail(
        fmt::format("{}: it is sealed under line {} of the farm key file, which the farm "
                    "has given up; the lowest that counts is {}",
                    where, parts->key, min_key));
  }
  const std::string bound = bound_to(place, parts->counter, parts->key);
  Opened opened{.text = WipedString(parts->box.size() - kTag, '\0'),
                .counter = parts->counter,
                .key = parts->key};
  unsigned long long length = 0;
  const int forged = crypto_aead_xchacha20poly1305_ietf_decrypt(
      reinterpret_cast<unsigned char*>(opened.text.data()), &length, nullptr, bytes_of(parts->box),
      parts->box.size(), bytes_of(bound), bound.size(), bytes_of(parts->nonce), line->key.data());
  if (forged != 0) {
    return fail(
        fmt::format("{}: it is not genuine: changed, moved here from another place, or "
                    "sealed under another key of the number {}",
                    where, parts->key));
  }
  return opened;
}

std::optional<Counter> Sealer::claimed_counter(std::string_view value) {
  const auto parts = read_parts(value);
  if (!parts) return std::nullopt;
  return parts->counter;
}

}  // namespace tfo::rotation
