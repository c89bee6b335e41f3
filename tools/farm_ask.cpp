// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_ask.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "tools/farm_progress.h"
#include "tools/stop_signal.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;
using Kind = FarmStep::Kind;
using Steady = std::chrono::steady_clock;

namespace {

constexpr auto kStep = std::chrono::milliseconds(200);
constexpr auto kHearing = std::chrono::seconds(10);
/// For a request of which nobody knows whether tfod took it to turn up in what tfod was asked.
constexpr auto kTurningUp = std::chrono::seconds(5);

constexpr const char* kUnknown =
    "whether this tfod has taken it is not known, and tfoctl does not ask twice: see `tfoctl key "
    "history` and `tfoctl node list` before you do";

std::string not_taken(const FarmStatus& status) {
  if (!status.connected) {
    return "this tfod has no etcd just now; it asks as soon as it has: see `tfoctl status`";
  }
  if (status.leader.empty()) {
    return "no node leads the farm just now; the next one takes it: see `tfoctl node list`";
  }
  return fmt::format("{} leads the farm and has not taken it yet; see `tfoctl key history`",
                     status.leader);
}

/// One waiting, from the asking to its end.
class Waiting {
 public:
  Waiting(Context& context, std::string pool, FarmGoal goal, double timeout)
      : context_(context),
        pool_(std::move(pool)),
        goal_(std::move(goal)),
        progress_(context, goal_.before()),
        end_(Steady::now() +
             std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(timeout))),
        timeout_(timeout) {}

  /// `id`: of the request; empty: nobody knows whether it was asked.
  int run(const std::string& id) {
    goal_.asked(id);
    const auto begun = Steady::now();
    for (;;) {
      const auto round = Steady::now();
      if (look()) return finish(round - begun);
      if (goal_.id().empty() && round - begun > kTurningUp) {
        return report(context_, Error{kUnknown});
      }
      if (round >= end_) return give_up();
      if (stop_.wait_until(std::min(round + kStep, end_))) return leave();
    }
  }

 private:
  /// True: it has ended.
  bool look() {
    auto status = read_farm_status(context_, pool_);
    if (!status) {
      progress_.say(status.error().error.message + "; the farm goes on without it");
      return false;
    }
    last_ = std::move(*status);
    if (goal_.id().empty()) goal_.find(last_);
    if (goal_.id().empty()) return false;
    step_ = goal_.look(last_);
    if (step_.kind == Kind::kPending) {
      progress_.say(fmt::format("pool {}: asked; waiting for the rotator{}", pool_,
                                last_.leader.empty() ? "" : " " + last_.leader));
    } else if (step_.kind != Kind::kRefused && step_.kind != Kind::kFailed) {
      progress_.show(last_);
    }
    return step_.ended();
  }

  int finish(Steady::duration took) {
    const auto seconds = std::chrono::duration<double>(took).count();
    switch (step_.kind) {
      case Kind::kDone:
        return done(seconds);
      case Kind::kRefused:
        return no("refused", "the rotator refused it: " + step_.why);
      case Kind::kTakenBack:
        return no("aborted", "it was taken back: see `tfoctl key history`");
      case Kind::kHeld:
        return no("held", "it is held: " + step_.why + laggards() +
                              "; it goes on by itself once they acknowledge. `tfoctl key abort` "
                              "takes it back, `tfoctl node forget NODE` goes on without one");
      default:
        return say(context_, fmt::format("pool {}: it could not be asked: {}", pool_, step_.why),
                   kExitFailed);
    }
  }

  int done(double seconds) {
    std::string fingerprint = "-";
    for (const json& one : array_of(last_.document, "generations")) {
      if (text_of(one, "slot") == "current") fingerprint = text_of(one, "fingerprint");
    }
    if (context_.json) {
      print_outcome("complete", "");
    } else {
      context_.out
          << printable(fmt::format(
                 "pool {}: complete in {:.1f} s: current {}, acknowledged by all {} members", pool_,
                 seconds, fingerprint, last_.members.size()))
          << '\n';
    }
    return kExitOk;
  }

  int give_up() {
    if (last_.pool.empty()) {
      return report(context_, Error{fmt::format("pool {}: tfod did not answer for {} s; what was "
                                                "asked goes on: see `tfoctl key history`",
                                                pool_, timeout_)});
    }
    const std::string rest =
        step_.kind == Kind::kPending
            ? not_taken(last_)
            : "it goes on by itself" + laggards() +
                  ". `tfoctl key abort` takes a rotation back, `tfoctl node forget NODE` goes on "
                  "without a node";
    return no("timeout", fmt::format("not complete after {} s: {}", timeout_, rest));
  }

  int leave() {
    return no("interrupted",
              "no longer waiting; what was asked goes on in the farm. `tfoctl key history` and "
              "`tfoctl node list` tell how far it is, `tfoctl key abort` takes a rotation back");
  }

  std::string laggards() const {
    std::string words;
    size_t more = 0;
    const int64_t now = std::time(nullptr);
    constexpr size_t kMost = 8;
    for (const FarmMember* member : last_.stragglers()) {
      if (++more <= kMost) words += "; " + straggler_words(last_, *member, now);
    }
    return more > kMost ? words + fmt::format("; and {} more", more - kMost) : words;
  }

  int no(const std::string& outcome, const std::string& why) {
    if (context_.json) print_outcome(outcome, why);
    return say_no(context_, fmt::format("pool {}: {}", pool_, why));
  }

  void print_outcome(const std::string& outcome, const std::string& why) {
    json waits = json::array();
    for (const FarmMember* member : last_.stragglers()) waits.push_back(member->node);
    print_json(context_, {{"pool", pool_},
                          {"request", goal_.id()},
                          {"outcome", outcome},
                          {"why", why},
                          {"state", last_.state},
                          {"counter", text_of(last_.document, "counter")},
                          {"current", last_.current},
                          {"waits_for", waits}});
  }

  Context& context_;
  std::string pool_;
  FarmGoal goal_;
  FarmProgress progress_;
  StopSignal stop_;
  Steady::time_point end_;
  double timeout_;
  FarmStatus last_;
  FarmStep step_;
};

}  // namespace

tl::expected<std::string, CallError> ask_farm(const Context& context, const std::string& command,
                                              json arguments) {
  const auto reply = try_call(context, command, std::move(arguments));
  if (!reply) return tl::unexpected<CallError>(reply.error());
  const std::string id = text_of(*reply, "request");
  return id == "-" ? "" : id;
}

int hear_of(Context& context, const std::string& pool, const std::string& id,
            const std::string& done) {
  const auto end = Steady::now() + kHearing;
  FarmAsked asked{id, "", "pending", ""};
  FarmStatus last;
  while (asked.state == "pending" && Steady::now() < end) {
    auto status = read_farm_status(context, pool);
    if (!status) return report(context, status.error().error);
    last = std::move(*status);
    if (const FarmAsked* found = last.find_asked(id)) asked = *found;
    if (asked.state == "pending") std::this_thread::sleep_for(kStep);
  }
  if (context.json) {
    print_json(context,
               {{"pool", pool}, {"request", id}, {"state", asked.state}, {"why", asked.why}});
  }
  if (asked.state == "refused") {
    return say_no(context, fmt::format("pool {}: the rotator refused it: {}", pool, asked.why));
  }
  if (asked.state == "failed") {
    return say(context, fmt::format("pool {}: it could not be asked: {}", pool, asked.why),
               kExitFailed);
  }
  if (asked.state == "pending") {
    return say_no(context, fmt::format("pool {}: asked, but {}", pool, not_taken(last)));
  }
  if (!context.json) context.out << printable(fmt::format("pool {}: {}", pool, done)) << '\n';
  return kExitOk;
}

int ask_and_hear(Context& context, const std::string& pool, json request, const std::string& done) {
  request["pool"] = pool;
  const auto id = ask_farm(context, "farm-request", std::move(request));
  if (!id && id.error().unknown) {
    return report(context, Error{id.error().error.message + "; " + kUnknown});
  }
  if (!id) return report(context, id.error().error);
  return hear_of(context, pool, *id, done);
}

int ask_and_wait(Context& context, const std::string& command, json arguments, FarmGoal goal,
                 double timeout) {
  const std::string pool = text_of(arguments, "pool");
  // Ctrl-C from here on no longer takes back what is asked.
  Waiting waiting(context, pool, std::move(goal), timeout);
  const auto id = ask_farm(context, command, std::move(arguments));
  if (!id && !id.error().unknown) return report(context, id.error().error);
  return waiting.run(id.value_or(""));
}

}  // namespace tfo
