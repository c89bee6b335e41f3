// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>

#include "loader/etcd/client.h"

namespace tfo::etcd {

/// The client's token: fetched when somebody needs it, by one request however many wait for it.
/// Where etcd runs without authentication, none.
class Authenticator {
 public:
  using Waiter = std::function<void(const Outcome<Token>&)>;
  /// Sends the body to /v3/auth/authenticate; the answer comes back by taken().
  using Sender = std::function<void(Secret body)>;

  Authenticator(std::string user, std::string password_file, Sender send)
      : user_(std::move(user)), password_file_(std::move(password_file)), send_(std::move(send)) {}

  /// Calls at once if nothing has to be fetched. `id` is for drop().
  void get(uint64_t id, const Waiter& waiter);
  void drop(uint64_t id) { waiting_.erase(id); }
  /// A member did not take this token.
  void forget(const Token& token);
  /// The outcome of what the Sender sent.
  void taken(Outcome<Answer> answer);

 private:
  void fetch();
  void tell(const Outcome<Token>& outcome);

  std::string user_;
  std::string password_file_;
  Sender send_;
  Token token_;
  bool off_ = false;  ///< etcd runs without authentication
  bool fetching_ = false;
  std::map<uint64_t, Waiter> waiting_;
};

}  // namespace tfo::etcd
