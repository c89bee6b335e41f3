// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/authenticator.h"

#include <sodium.h>

#include <vector>

namespace tfo::etcd {
namespace {

constexpr size_t kTokenLimit = 8192;  // an HTTP header's; a JWT has less than 1 KiB

/// By hand: nlohmann/json would leave copies of the password behind.
void append_json_string(std::string& to, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  to += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (byte < 0x20) {
      to += "\\u00";
      to += kHex[byte >> 4U];
      to += kHex[byte & 0xFU];
    } else {
      to += c;
    }
  }
  to += '"';
}

Secret authenticate_body(const std::string& user, const Secret& password) {
  Secret body;
  std::string& text = body.buffer();
  text.reserve(64 + 6 * (user.size() + password.view().size()));
  text += R"({"name":)";
  append_json_string(text, user);
  text += R"(,"password":)";
  append_json_string(text, password.view());
  text += '}';
  return body;
}

bool header_safe(std::string_view token) {
  for (const char c : token) {
    if (c <= ' ' || c > '~') return false;
  }
  return !token.empty() && token.size() <= kTokenLimit;
}

}  // namespace

void Authenticator::get(uint64_t id, const Waiter& waiter) {
  if (user_.empty() || off_ || token_) {
    waiter(token_);
    return;
  }
  waiting_[id] = waiter;
  if (!fetching_) fetch();
}

void Authenticator::forget(const Token& token) {
  if (token != token_) return;  // another has been fetched since
  token_.reset();
  off_ = false;
}

void Authenticator::fetch() {
  auto password = read_password(password_file_);
  if (!password) {
    tell(tl::unexpected(
        Fault{FaultKind::kAuthentication, -1, "etcd: authenticate: " + password.error().message}));
    return;
  }
  fetching_ = true;
  send_(authenticate_body(user_, *password));
}

void Authenticator::taken(Outcome<Answer> answer) {
  fetching_ = false;
  if (!answer) {
    off_ = authentication_is_off(answer.error());
    if (off_) return tell(Token());
    return tell(tl::unexpected(answer.error()));
  }
  const auto field = answer->body.find("token");
  if (field == answer->body.end() || !field->is_string() ||
      !header_safe(field->get_ref<const std::string&>())) {
    return tell(tl::unexpected(unreadable({answer->endpoint, "authenticate", false})));
  }
  auto& text = field->get_ref<std::string&>();
  token_ = std::make_shared<const Secret>(text);
  sodium_memzero(text.data(), text.size());
  tell(token_);
}

void Authenticator::tell(const Outcome<Token>& outcome) {
  std::vector<uint64_t> round;
  round.reserve(waiting_.size());
  for (const auto& [id, waiter] : waiting_) round.push_back(id);
  // A waiter may drop others, and new ones wait for the next round.
  for (const uint64_t id : round) {
    if (const auto node = waiting_.extract(id)) node.mapped()(outcome);
  }
}

}  // namespace tfo::etcd
