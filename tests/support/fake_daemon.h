// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/tfoctl_run.h"

namespace tfo::test {

/// Listens on a control socket of its own and answers each connection's one request with what the
/// test wants.
class FakeDaemon {
 public:
  using Answer = std::function<std::string(const nlohmann::json& request)>;

  FakeDaemon();
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  std::string path() const { return directory_ + "/sock"; }

  /// From now on `command` is answered with this result.
  void answer(const std::string& command, nlohmann::json result);
  /// With these, one after another; the last one from then on.
  void answers(const std::string& command, std::vector<nlohmann::json> results);
  /// With this error.
  void refuse(const std::string& command, const std::string& error);
  /// With these bytes; none: the connection is closed without a reply.
  void raw(const std::string& command, std::string reply);
  /// With what this makes of each request, in the daemon's thread.
  void ask(const std::string& command, Answer answer);

  /// The last request of that command, and how many there were.
  nlohmann::json request(const std::string& command);
  size_t count(const std::string& command);

  Ran run(std::vector<std::string> words, const std::string& input = "") const {
    words.insert(words.begin(), {"--socket", path()});
    return run_tfoctl(words, input);
  }

  /// A reply as tfod writes it.
  static std::string good(nlohmann::json result);

 private:
  void serve();

  std::string directory_;
  int fd_ = -1;
  std::mutex mutex_;
  std::map<std::string, Answer> replies_;
  std::map<std::string, nlohmann::json> requests_;
  std::map<std::string, size_t> counts_;
  std::thread thread_;
};

}  // namespace tfo::test
