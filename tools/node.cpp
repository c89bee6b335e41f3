// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "tools/client.h"
#include "tools/commands.h"
#include "tools/farm_ask.h"
#include "tools/farm_status.h"
#include "tools/pool_choice.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

bool is_fresh(const FarmStatus& status, int64_t asked) {
  return status.roster_at >= asked || (status.leading && status.connected);
}

/// The farm as it is now: tfod reads its members anew when it is asked, and answers at once with
/// those of before. After 2 s, or without etcd, the ones of before have to do.
tl::expected<FarmStatus, CallError> read_fresh(const Context& context, const std::string& pool) {
  constexpr int64_t kPatience = 2000;
  const int64_t asked = now_ms();
  for (;;) {
    auto status = read_farm_status(context, pool);
    if (!status || is_fresh(*status, asked) || !status->connected || now_ms() > asked + kPatience) {
      return status;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::string presence(const FarmMember& member) {
  if (member.live) return "yes";
  return member.last_seen == 0 ? "no" : "no, since " + time_words(member.last_seen);
}

std::string holds(const FarmMember& member) {
  return member.acked ? "this" : (member.ack == "-" ? "nothing yet" : member.ack);
}

/// What a validator goes by; other tfods do not know it.
void print_reports(Context& context, const json& all) {
  const json sums = all.value("reports", json());
  if (!sums.is_object() || number_of(sums, "servers") == 0) return;
  const int64_t listeners = number_of(sums, "listeners");
  const int64_t unknown = number_of(sums, "qlen_unknown");
  std::string words =
      fmt::format("servers report: {} {}, Fast Open queues of {} in all, backlogs of {}", listeners,
                  listeners == 1 ? "listener" : "listeners", number_of(sums, "qlen_sum"),
                  number_of(sums, "backlog_sum"));
  if (unknown != 0) words += fmt::format(", {} whose queue is not known", unknown);
  if (text_of(sums, "any_no_cookie_bit") == "yes")
    words += "; one takes data without a cookie (bit 0x200)";
  context.out << words << '\n';
}

void print_head(Context& context, const FarmStatus& status, int64_t asked) {
  const json& all = status.document;
  context.out << printable(fmt::format(
                     "farm {}, pool {}: {}, document {}, {} of {} hold it; rotator {}",
                     text_of(all, "farm"), status.pool, status.state, text_of(all, "counter"),
                     status.members.size() - status.stragglers().size(), status.members.size(),
                     status.leader.empty() ? "none" : status.leader))
              << '\n';
  if (!status.held.empty()) context.out << printable("held: " + status.held) << '\n';
  print_reports(context, all);
  if (!is_fresh(status, asked)) {
    context.err << printable(fmt::format("tfoctl: {}; what follows {}",
                                         status.connected ? "the members could not be read again"
                                                          : "this tfod has no etcd just now",
                                         status.roster_at == 0
                                             ? "is all that it knows"
                                             : "is of " + time_words(status.roster_at / 1000)))
                << '\n';
  }
}

}  // namespace

int node_list(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const int64_t asked = now_ms();
  const auto status = read_fresh(context, *pool);
  if (!status) return report(context, status.error().error);
  if (context.json) {
    print_json(context, status->document);
    return kExitOk;
  }
  print_head(context, *status, asked);
  TextTable table({"node", "<role", "<lease", "<holds", "<since", "<member since", "<note"});
  for (const FarmMember& member : status->members) {
    const bool self = member.node == text_of(status->document, "node");
    table.add({member.node, member.roles(), presence(member), holds(member),
               time_words(member.since), time_words(member.joined_at),
               member.partial.empty() && self ? "this node" : member.partial});
  }
  if (!table.empty()) {
    context.out << '\n';
    table.print(context.out);
  }
  return kExitOk;
}

int node_forget(Context& context, const FarmArgs& args) {
  const auto pool = choose_shared_pool(context, args.pool);
  if (!pool) return report(context, pool.error());
  const auto status = read_fresh(context, *pool);
  if (!status) return report(context, status.error().error);
  std::string names;
  bool known = false;
  for (const FarmMember& member : status->members) {
    known |= member.node == args.node;
    names += " " + member.node;
  }
  if (!known) {
    return report(context, Error{fmt::format("pool {} has no member '{}'; there are:{}", *pool,
                                             args.node, names)});
  }
  return ask_and_hear(context, *pool,
                      {{"kind", "forget"}, {"node", args.node}, {"off_wire", args.off_wire}},
                      args.node +
                          " is forgotten: nothing waits for it, and it joins anew if it "
                          "comes back");
}

}  // namespace tfo
