// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/asker.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <utility>

#include "loader/rotation/answer.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kBetweenLooks{500};

std::string new_request_id() {
  uint64_t id = 0;
  randombytes_buf(&id, sizeof(id));
  return fmt::format("{:016x}", id);
}

const etcd::KeyValue* first_of(const etcd::OperationReply& reply) {
  const auto* range = std::get_if<etcd::RangeReply>(&reply);
  return range != nullptr && !range->kvs.empty() ? &range->kvs.front() : nullptr;
}

}  // namespace

Result<> Asker::start() {
  auto timer = site_.loop.timer([this] { look(); });
  if (!timer) return tl::unexpected(timer.error());
  timer_ = std::move(*timer);
  return {};
}

Result<std::string> Asker::ask(Request request) {
  if (!site_.document) {
    return fail("this node knows no document of pool " + site_.settings.pool +
                " yet: run `tfoctl farm init`, or wait for etcd");
  }
  if (pending().size() >= kRemembered) {
    return fail("too many requests of this node are pending: is there a leader?");
  }
  request.id = new_request_id();
  request.expects = site_.document->counter;
  request.by = site_.settings.node;
  request.at = site_.now();
  auto sealed = site_.seal(kRequestPrefix + request.id, request.expects, to_json(request).dump());
  if (!sealed) return tl::unexpected(sealed.error());
  while (asked_.size() >= kRemembered) {
    const auto done =
        std::ranges::find_if(asked_, [](const Asked& asked) { return asked.state != "pending"; });
    asked_.erase(done == asked_.end() ? asked_.begin() : done);
  }
  const std::string id = request.id;
  Asked asked;
  asked.request = std::move(request);
  asked.sealed = std::move(*sealed);
  asked_.push_back(std::move(asked));
  look();
  return id;
}

Asker::Asked* Asker::find(const std::string& id) {
  const auto found =
      std::ranges::find_if(asked_, [&id](const Asked& asked) { return asked.request.id == id; });
  return found == asked_.end() ? nullptr : &*found;
}

std::vector<Asker::Asked*> Asker::pending() {
  std::vector<Asked*> all;
  for (Asked& asked : asked_) {
    if (asked.state == "pending") all.push_back(&asked);
  }
  return all;
}

bool Asker::is_pending(Request::Kind kind) {
  return std::ranges::any_of(pending(),
                             [&](const Asked* asked) { return asked->request.kind == kind; });
}

void Asker::put(Asked& asked) {
  if (putting_) return;
  putting_ = true;
  const std::string id = asked.request.id;
  const std::string key = site_.key(kRequestPrefix + id);
  etcd::Txn txn;
  txn.when = {etcd::absent(key)};
  txn.then = {etcd::Put{key, asked.sealed, 0}};
  put_call_ = etcd::txn(*site_.client, txn, [this, id](const auto& reply) {
    putting_ = false;
    Asked* found = find(id);
    if (reply && found != nullptr) found->seen = true;
    look();
  });
}

void Asker::look() {
  const auto all = pending();
  if (all.empty() || looking_ || putting_) return;
  // What was just asked goes first.
  for (Asked* asked : all) {
    if (!asked->seen && asked->why.empty()) {
      asked->why = "no answer of etcd yet";
      return put(*asked);
    }
  }
  std::vector<std::string> ids;
  etcd::Txn txn;
  for (const Asked* asked : all) {
    ids.push_back(asked->request.id);
    for (const char* prefix : {kRequestPrefix, kAnswerPrefix}) {
      etcd::Range range;
      range.key = site_.key(prefix + asked->request.id);
      txn.then.emplace_back(std::move(range));
    }
  }
  looking_ = true;
  look_call_ =
      etcd::txn(*site_.client, txn, [this, ids](const auto& reply) { looked(ids, reply); });
}

void Asker::looked(const std::vector<std::string>& ids,
                   const etcd::Outcome<etcd::TxnReply>& reply) {
  looking_ = false;
  timer_.start(kBetweenLooks);
  if (!reply || reply->replies.size() != 2 * ids.size()) return;
  for (size_t i = 0; i < ids.size(); i++) {
    Asked* asked = find(ids[i]);
    if (asked == nullptr) continue;
    judge(*asked, first_of(reply->replies[2 * i]) != nullptr, first_of(reply->replies[2 * i + 1]));
  }
}

void Asker::judge(Asked& asked, bool there, const etcd::KeyValue* answer) {
  const std::string& id = asked.request.id;
  if (answer != nullptr) {
    const auto opened = site_.open(kAnswerPrefix + id, answer->value);
    if (opened) {
      const auto said = answer_from(
          nlohmann::json::parse(opened->text.begin(), opened->text.end(), nullptr, false));
      if (said && said->id == id) {
        remove_call_ = etcd::remove(*site_.client, {answer->key, ""}, [](const auto&) {});
        return end(asked, said->served ? "served" : "refused", said->why);
      }
    }
  }
  if (there) {
    asked.seen = true;
    asked.why = "";
    return;
  }
  const bool current = site_.document && site_.document->counter == asked.request.expects;
  if (current && !asked.seen) return put(asked);
  if (!asked.seen) return end(asked, "failed", "the farm went on before the request reached etcd");
  if (current) return end(asked, "failed", "it is gone from etcd, and nobody has answered it");
  end(asked, "served", "the leader's answer is gone; see `tfoctl key history`");
}

void Asker::end(Asked& asked, const std::string& state, const std::string& why) {
  asked.state = state;
  asked.why = why;
  changed_();
}

nlohmann::json Asker::status() const {
  nlohmann::json all = nlohmann::json::array();
  for (const Asked& asked : asked_) {
    all.push_back({{"id", asked.request.id},
                   {"kind", std::string(to_string(asked.request.kind))},
                   {"state", asked.state},
                   {"why", asked.why}});
  }
  return all;
}

}  // namespace tfo::rotation
