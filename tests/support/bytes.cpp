// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/bytes.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace tfo::test {
namespace {

[[noreturn]] void refuse(std::string_view what) {
  fmt::print(stderr, "bad test input: {}\n", what);
  std::abort();
}

}  // namespace

Address Address::of(const std::string& text) {
  Address address;
  address.v6 = text.find(':') != std::string::npos;
  if (inet_pton(address.v6 ? AF_INET6 : AF_INET, text.c_str(), address.bytes.data()) != 1) {
    refuse(text);
  }
  return address;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

Bytes join(std::initializer_list<View> parts) {
  Bytes out;
  for (View part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Bytes pattern(size_t count) {
  Bytes out(count);
  for (size_t i = 0; i < count; i++) out[i] = static_cast<uint8_t>('A' + i % 23);
  return out;
}

Bytes from_hex(std::string_view text) {
  std::string digits;
  for (char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) {
      digits.push_back(c);
    } else if (c != ' ' && c != '\n') {
      refuse(text);
    }
  }
  if (digits.size() % 2 != 0) refuse(text);
  Bytes out;
  for (size_t i = 0; i < digits.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return out;
}

std::string to_hex(View bytes) {
  std::string text;
  for (uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string hex_dump(View bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 16) {
    const View line = bytes.subspan(at, std::min<size_t>(16, bytes.size() - at));
    text += fmt::format("{:04x}  {}\n", at, to_hex(line));
  }
  return text;
}

void put16(Bytes& out, size_t at, uint16_t value) {
  out.at(at) = static_cast<uint8_t>(value >> 8);
  out.at(at + 1) = static_cast<uint8_t>(value);
}

void put32(Bytes& out, size_t at, uint32_t value) {
  put16(out, at, static_cast<uint16_t>(value >> 16));
  put16(out, at + 2, static_cast<uint16_t>(value));
}

uint16_t internet_checksum(std::initializer_list<View> parts) {
  uint64_t sum = 0;
  for (View part : parts) {
    for (size_t i = 0; i < part.size(); i++) {
      sum += static_cast<uint64_t>(part[i]) << (i % 2 == 0 ? 8 : 0);
    }
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace tfo::test
