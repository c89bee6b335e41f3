// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/agent.h"

#include <algorithm>
#include <utility>

#include "loader/etcd/kv.h"
#include "loader/etcd/lease.h"
#include "loader/log.h"
#include "loader/rotation/agent_impl.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

/// For so long a node waits for etcd before it opens with what it knew.
milliseconds most_wait(const Settings& settings) {
  return std::min<milliseconds>(std::chrono::seconds(60), 4 * settings.lease);
}

bool is_good(const Document& document, int64_t now) {
  const FarmGeneration* current = document.find(document.current);
  return current != nullptr && !current->revoked &&
         (current->not_after == 0 || now < current->not_after);
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::create(EventLoop& loop, Settings settings, const Clock& clock,
                                             Changed changed) {
  // The agent is there before anything can change.
  const auto agent = std::make_shared<AgentImpl*>(nullptr);
  auto site = Site::create(loop, std::move(settings), clock, [agent] {
    if (*agent != nullptr) (*agent)->changed_soon();
  });
  if (!site) return tl::unexpected(site.error());
  auto made = std::make_unique<AgentImpl>(std::move(*site), std::move(changed));
  if (auto prepared = made->prepare(); !prepared) return tl::unexpected(prepared.error());
  *agent = made.get();
  return made;
}

AgentImpl::AgentImpl(std::unique_ptr<Site> site, Changed changed)
    : site_(std::move(site)),
      changed_(std::move(changed)),
      follower_(*site_, {.document = [this] { document_changed(); },
                         .reading = [this](const Reading& reading) { read(reading); },
                         .rolled_back = [this] { rolled_back(); },
                         .changed = [this] { changed_soon(); }}),
      presence_(*site_, follower_, [this] { lease_changed(); }),
      membership_(*site_, follower_, [this] { membership_changed(); }),
      acknowledgement_(*site_, follower_, membership_, [this] { changed_soon(); }),
      candidate_(*site_, follower_, presence_, membership_,
                 {.won = [this](int64_t revision) { rotator_.lead(revision); },
                  .lost = [this] { rotator_.stop(); }}),
      rotator_(*site_, follower_, presence_,
               {.resign = [this] { candidate_.resign(); }, .changed = [this] { changed_soon(); }}),
      asker_(*site_, [this] { changed_soon(); }),
      board_(*site_, [this] { changed_soon(); }),
      roster_(*site_) {}

Result<> AgentImpl::prepare() {
  auto timer = site_->loop.timer([this] { changed_(); });
  if (!timer) return tl::unexpected(timer.error());
  changed_timer_ = std::move(*timer);
  auto revoke_timer = site_->loop.timer([this] { revoke_again(); });
  if (!revoke_timer) return tl::unexpected(revoke_timer.error());
  revoke_timer_ = std::move(*revoke_timer);
  const auto all = {presence_.start(), acknowledgement_.start(), candidate_.start(),
                    rotator_.start(), asker_.start()};
  for (const auto& one : all) {
    if (!one) return one;
  }
  return {};
}

void AgentImpl::start() {
  if (std::exchange(started_, true)) return;
  if (site_->document) endings_.look(site_->known());
  if (const auto begun = follower_.start(); !begun) {
    site_->troubles.raise(kStoreUnreachable, begun.error().message);
  }
}

void AgentImpl::changed_soon() { changed_timer_.start(milliseconds(0)); }

void AgentImpl::read(const Reading& reading) {
  membership_.take(reading);
  presence_.take(reading);
  acknowledgement_.take(reading);
  candidate_.take(reading);
  rotator_.take(reading);
  board_.take(reading);
  // Others may know of it as well: whoever is first asks for all.
  if (!lost().empty() && !std::exchange(revoking_, true)) {
    revoke_timer_.start(random_part(site_->poll()));
  }
}

/// One at a time: each that is served makes another document, and the next one is asked of that.
void AgentImpl::revoke_again() {
  revoking_ = false;
  if (lost().empty() || asker_.is_pending(Request::Kind::kRevoke)) return;
  Request request;
  request.kind = Request::Kind::kRevoke;
  request.generation = *lost().begin();
  const auto id = asker_.ask(std::move(request));
  log_warning("pool {}: etcd has lost the revocation of {}: {}", site_->settings.pool,
              id_text(*lost().begin()), id ? "asked for again" : id.error().message);
}

void AgentImpl::document_changed() {
  endings_.look(site_->known());
  membership_.check_forgotten();
  rotator_.consider_soon();
  asker_.look();
  changed_soon();
}

void AgentImpl::membership_changed() {
  if (membership_.joined()) {
    acknowledgement_.pump();
  } else {
    acknowledgement_.forget();
  }
  changed_soon();
}

void AgentImpl::lease_changed() {
  if (presence_.lease() != 0) return follower_.read_now();  // is there a leader?
  candidate_.step_down();
}

/// A leader's key may be there again from the backup, with the revision that it was made at; so may
/// the lease. Nobody must go on by them.
void AgentImpl::rolled_back() {
  candidate_.step_down();
  presence_.renew();
  acknowledgement_.write_again();
}

int64_t AgentImpl::trusted_until() const {
  const auto start = follower_.confirmed_boot_s();
  if (!start) return 0;
  const Moment now = site_->clock.now();
  return now.unix_s - (now.boot_s - *start) + site_->settings.fresh_for;
}

bool AgentImpl::may_open() const {
  if (membership_.joined() && acknowledgement_.given()) return true;
  const bool away = started_ && !follower_.connected() &&
                    boot_ms() - follower_.heard_at() >= most_wait(site_->settings).count();
  return away && site_->remembered.joined && !site_->troubles.raised(kNotMember) &&
         site_->document && is_good(site_->known(), site_->now());
}

Result<std::string> AgentImpl::ask(Request request) {
  auto id = asker_.ask(std::move(request));
  if (id && started_) follower_.read_now();  // is there a leader?
  return id;
}

void AgentImpl::leave(std::function<void(Result<>)> done) {
  membership_.end();
  acknowledgement_.end();
  candidate_.step_down();
  if (!membership_.record()) return say_farewell(done, 0);
  // Who leads sees the farewell at once, and another leader needs it no longer than an absent
  // member counts. Without a lease it stays, which is better than to stay a member.
  const int64_t forget_after = site_->settings.policy.forget_after;
  const std::chrono::seconds lasts(forget_after > 0 ? forget_after : 86'400);
  leave_call_ = etcd::lease_grant(*site_->client, lasts, 0,
                                  [this, done = std::move(done)](const auto& lease) {
                                    say_farewell(done, lease ? lease->id : 0);
                                  });
}

void AgentImpl::say_farewell(std::function<void(Result<>)> done, int64_t lease) {
  etcd::Txn txn;
  txn.then = {etcd::Delete{site_->own_key(kMemberPrefix), ""},
              etcd::Delete{site_->own_key(kAckPrefix), ""}};
  if (const auto& record = membership_.record()) {
    const auto farewell =
        site_->seal(site_->own(kLeftPrefix), site_->known().counter, to_json(*record).dump());
    if (farewell) txn.then.emplace_back(etcd::Put{site_->own_key(kLeftPrefix), *farewell, lease});
  }
  leave_call_ = etcd::txn(*site_->client, txn,
                          [this, done = std::move(done)](const auto& reply) { left(done, reply); });
}

void AgentImpl::left(const std::function<void(Result<>)>& done,
                     const etcd::Outcome<etcd::TxnReply>& reply) {
  Result<> outcome;
  if (reply) {
    site_->keep_joined(false);
  } else {
    outcome = fail("the farm still counts " + site_->settings.node + " among its members: " +
                   reply.error().message + " (`tfoctl node forget` on another node)");
  }
  // The agent may be destroyed by it: not from within its own calls.
  presence_.end(
      [&loop = site_->loop, done, outcome] { loop.post([done, outcome] { done(outcome); }); });
}

}  // namespace tfo::rotation
