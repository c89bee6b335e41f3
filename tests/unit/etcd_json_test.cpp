// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "loader/etcd/config.h"
#include "loader/etcd/json.h"
#include "loader/etcd/kv.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

TEST(EtcdJson, Base64) {
  // RFC 4648 section 10
  EXPECT_EQ(etcd::to_base64(""), "");
  EXPECT_EQ(etcd::to_base64("f"), "Zg==");
  EXPECT_EQ(etcd::to_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(etcd::from_base64("Zm9vYg=="), "foob");
  EXPECT_EQ(etcd::from_base64(""), "");
  for (const char* bad : {"Zg", "Zg=", "Zg==x", "Z", "Zm9v YmFy", "-_-_", "=", "Zh==\n"}) {
    EXPECT_EQ(etcd::from_base64(bad), std::nullopt) << bad;
  }
  std::string all;
  for (int i = 0; i < 256; i++) all += static_cast<char>(i);
  EXPECT_EQ(etcd::from_base64(etcd::to_base64(all)), all);
}

TEST(EtcdJson, WhatIsLeftOutIsZero) {
  const json empty = json::object();
  etcd::Fields fields(empty);
  EXPECT_EQ(fields.integer("a"), 0);
  EXPECT_EQ(fields.unsigned_integer("a"), 0U);
  EXPECT_FALSE(fields.boolean("a"));
  EXPECT_EQ(fields.text("a"), "");
  EXPECT_EQ(fields.bytes("a"), "");
  EXPECT_TRUE(fields.array("a").empty());
  EXPECT_TRUE(fields.object("a").is_null());
  EXPECT_TRUE(fields.good());
  const json null_field = {{"a", nullptr}};
  etcd::Fields null_fields(null_field);
  EXPECT_EQ(null_fields.integer("a"), 0);
  EXPECT_TRUE(null_fields.good());
}

TEST(EtcdJson, IntegersAreStrings) {
  const auto signed_of = [](const json& value) -> std::optional<int64_t> {
    const json object = {{"a", value}};
    etcd::Fields fields(object);
    const int64_t number = fields.integer("a");
    return fields.good() ? std::optional(number) : std::nullopt;
  };
  EXPECT_EQ(signed_of("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(signed_of("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(signed_of(7), 7);
  EXPECT_EQ(signed_of(-7), -7);
  for (const json& bad :
       {json("9223372036854775808"), json(UINT64_MAX), json(""), json(" 7"), json("7 "),
        json("0x7"), json("seven"), json(7.5), json(true), json::array(), json::object()}) {
    EXPECT_EQ(signed_of(bad), std::nullopt) << bad;
  }
  const json object = {{"id", "18446744073709551615"}, {"minus", "-1"}, {"n", -1}};
  etcd::Fields fields(object);
  EXPECT_EQ(fields.unsigned_integer("id"), UINT64_MAX);
  EXPECT_TRUE(fields.good());
  EXPECT_EQ(fields.unsigned_integer("minus"), 0U);
  EXPECT_FALSE(fields.good());
  etcd::Fields negative(object);
  EXPECT_EQ(negative.unsigned_integer("n"), 0U);
  EXPECT_FALSE(negative.good());
}

TEST(EtcdJson, OtherTypesSpoilTheObject) {
  const json object = {{"text", 1}, {"flag", "true"}, {"list", "x"}, {"map", "x"}, {"bytes", "!"}};
  const std::vector<std::function<void(etcd::Fields&)>> reads = {
      [](etcd::Fields& f) { f.text("text"); }, [](etcd::Fields& f) { f.boolean("flag"); },
      [](etcd::Fields& f) { f.array("list"); }, [](etcd::Fields& f) { f.object("map"); },
      [](etcd::Fields& f) { f.bytes("bytes"); }};
  for (const auto& read : reads) {
    etcd::Fields fields(object);
    read(fields);
    EXPECT_FALSE(fields.good());
  }
  EXPECT_FALSE(etcd::Fields(json("text")).good());
  EXPECT_FALSE(etcd::parse_object("[1]"));
  EXPECT_FALSE(etcd::parse_object("{\"a\":\"\xff\"}"));
  EXPECT_FALSE(etcd::parse_object(std::string(100'000, '[')));
}

TEST(EtcdJson, PrefixEnd) {
  EXPECT_EQ(etcd::prefix_end("/tfo/"), "/tfo0");
  EXPECT_EQ(etcd::prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(etcd::prefix_end("\x7f"), "\x80");
  EXPECT_EQ(etcd::prefix_end("\xff"), std::string(1, '\0'));
}

TEST(EtcdJson, ServersTextIsMadePrintable) {
  EXPECT_EQ(etcd::printable("a\nb\x1b[31m\xc3\xa4"), "a b [31m  ");
  EXPECT_EQ(etcd::printable(std::string(300, 'x')), std::string(200, 'x') + "...");
}

TEST(EtcdConfig, Endpoints) {
  EXPECT_EQ(etcd::normalise_endpoint("https://etcd.example").value(), "https://etcd.example:2379");
  EXPECT_EQ(etcd::normalise_endpoint("http://[::1]:1/").value(), "http://[::1]:1");
  for (const char* bad : {"", "10.0.0.1:2379", "ftp://x", "https://", "https://h:99999",
                          "https://h/v3", "https://h?x", "unix:///run/etcd"}) {
    const auto refused = etcd::normalise_endpoint(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().message, HasSubstr("write https://HOST:2379")) << bad;
  }
  const auto secret = etcd::normalise_endpoint("https://root:hunter2@h");
  ASSERT_FALSE(secret);
  EXPECT_THAT(secret.error().message, HasSubstr("use farm.etcd.user"));
  EXPECT_THAT(secret.error().message, Not(HasSubstr("hunter2")));
}

TEST(EtcdConfig, WhatBelongsTogether) {
  const auto wrong = [](const std::function<void(etcd::Config&)>& change) {
    etcd::Config config;
    config.endpoints = {"https://a", "https://b"};
    change(config);
    const auto checked = etcd::check(config);
    return checked ? "" : checked.error().message;
  };
  EXPECT_EQ(wrong([](auto&) {}), "");
  EXPECT_THAT(wrong([](auto& c) { c.endpoints.clear(); }),
              HasSubstr("farm.etcd.endpoints is empty"));
  EXPECT_THAT(wrong([](auto& c) { c.cert_file = "x"; }), HasSubstr("farm.etcd.key_file"));
  EXPECT_THAT(wrong([](auto& c) { c.user = "x"; }), HasSubstr("farm.etcd.password_file"));
  EXPECT_THAT(wrong([](auto& c) {
                c.ca_file = "x";
                c.endpoints[1] = "http://b";
              }),
              HasSubstr("http://b:2379 does not use TLS"));
  const auto with_user = [&](const char* endpoint) {
    return wrong([endpoint](auto& c) {
      c.user = "x";
      c.password_file = "y";
      c.endpoints = {endpoint};
    });
  };
  EXPECT_THAT(with_user("http://10.0.0.1"), HasSubstr("in the clear"));
  EXPECT_THAT(with_user("http://127.evil.example"), HasSubstr("in the clear"));
  EXPECT_EQ(with_user("http://127.0.0.1"), "");
  EXPECT_EQ(with_user("http://[::1]"), "");
  EXPECT_EQ(with_user("https://10.0.0.1"), "");
}

}  // namespace
}  // namespace tfo::test
