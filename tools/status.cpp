// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/client.h"
#include "tools/commands.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

/// "current 1a2b3c4d, previous 5e6f7a8b".
std::string ring_words(const json& pool) {
  std::string words;
  for (const json& key : array_of(pool, "ring")) {
    words += words.empty() ? "" : ", ";
    words += text_of(key, "place") + " " + text_of(key, "fingerprint");
  }
  return words.empty() ? "-" : words;
}

/// A time the daemon gives as unix seconds or as text.
std::string when(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return text_of(object, key);
  return time_words(found->get<int64_t>());
}

void print_interfaces(Context& context, const json& status) {
  TextTable table({"interface", "ifindex", "<mode", "<note"});
  for (const json& one : array_of(status, "interfaces")) {
    const std::string note = text_of(one, "detail");
    std::string mode = text_of(one, "mode");
    if (text_of(one, "egress") == "yes") mode += ", egress";
    if (text_of(one, "tracks") == "yes") mode += ", SYNs that leave";
    table.add({text_of(one, "name"), text_of(one, "ifindex"), mode, note == "-" ? "" : note});
  }
  if (!table.empty()) {
    context.out << '\n';
    table.print(context.out);
  }
}

void print_pools(Context& context, const json& status) {
  TextTable table({"pool", "<store", "<state", "<next rotation", "<ring"});
  for (const json& one : array_of(status, "pools")) {
    const std::string next = when(one, "next_rotation");
    table.add({text_of(one, "name"), text_of(one, "store"), text_of(one, "state"),
               next == "-" ? "by command" : next, ring_words(one)});
  }
  if (!table.empty()) {
    context.out << '\n';
    table.print(context.out);
  }
}

/// "backlog 4096, Fast Open 3 of 256, own keys"; nothing of what is not known.
std::string listener_words(const json& one) {
  std::string words = "backlog " + text_of(one, "backlog");
  if (text_of(one, "fastopen_limit") == "-") return words + ", Fast Open not known";
  words +=
      ", Fast Open " + text_of(one, "fastopen_pending") + " of " + text_of(one, "fastopen_limit");
  if (!array_of(one, "own_keys").empty()) words += ", keys of its own";
  return words;
}

/// Only listeners that may do Fast Open, and not all of many: -j has the rest.
void print_servers(Context& context, const json& status) {
  constexpr size_t kMost = 8;
  TextTable table({"netns", "<pool", "<Fast Open", "<bits", "<listener", "<takes"});
  for (const json& ns : array_of(status, "namespaces")) {
    const json listeners = array_of(ns, "listeners");
    const std::string bits = fmt::format("{:#x}", number_of(ns, "fastopen_bits"));
    std::vector<std::string> row = {text_of(ns, "netns"), text_of(ns, "pool"),
                                    text_of(ns, "server_bit"), bits};
    size_t shown = 0;
    size_t more = 0;
    for (const json& one : listeners) {
      if (text_of(one, "fastopen_limit") == "0") continue;
      if (shown == kMost) {
        ++more;
        continue;
      }
      row.resize(4);
      row.push_back(text_of(one, "address") + " port " + text_of(one, "port"));
      row.push_back(listener_words(one));
      table.add(row);
      if (++shown == 1) std::fill(row.begin(), row.begin() + 4, "");
    }
    row.resize(4);
    row.push_back(shown == 0 ? "-" : fmt::format("and {} more", more));
    row.emplace_back("");
    if (shown == 0 || more > 0) table.add(row);
  }
  if (!table.empty()) {
    context.out << '\n';
    table.print(context.out);
  }
}

void print_guard(Context& context, const json& status) {
  constexpr size_t kMost = 16;
  TextTable table(
      {"vip", "<guard", "load", "limit", "per network", "guarded networks", "let through"});
  const json vips = array_of(status, "guard");
  for (size_t i = 0; i < vips.size() && i < kMost; ++i) {
    const json& one = vips[i];
    table.add({text_of(one, "vip"), text_of(one, "state"), text_of(one, "load"),
               text_of(one, "vip_limit"), text_of(one, "limit"), text_of(one, "guarded"),
               text_of(one, "spared")});
  }
  if (table.empty()) return;
  context.out << '\n';
  table.print(context.out);
  if (vips.size() > kMost) context.out << fmt::format("and {} more VIPs\n", vips.size() - kMost);
}

/// Those who were hit first, then those who are not watched yet; -j has the rest.
void print_monitor(Context& context, const json& status) {
  constexpr size_t kMost = 16;
  const auto monitor = status.find("monitor");
  if (monitor == status.end() || !monitor->is_object()) return;
  std::vector<json> subjects;
  for (const json& one : array_of(*monitor, "subjects")) subjects.push_back(one);
  std::ranges::stable_sort(subjects, [](const json& a, const json& b) {
    return number_of(a, "unsolicited") > number_of(b, "unsolicited");
  });
  TextTable table(
      {"watched", "<kind", "<state", "unsolicited", "resets", "answered", "reflectors"});
  for (size_t i = 0; i < subjects.size() && i < kMost; ++i) {
    const json& one = subjects[i];
    table.add({text_of(one, "name"), text_of(one, "kind"), text_of(one, "readiness"),
               text_of(one, "unsolicited"), text_of(one, "resets"), text_of(one, "answered"),
               text_of(one, "reflectors")});
  }
  if (table.empty()) return;
  context.out << '\n';
  table.print(context.out);
  if (subjects.size() > kMost) {
    context.out << fmt::format("and {} more that are watched\n", subjects.size() - kMost);
  }
  for (size_t i = 0; i < subjects.size() && i < kMost; ++i) {
    const std::string why = text_of(subjects[i], "why");
    if (!why.empty()) context.out << fmt::format("{}: {}\n", text_of(subjects[i], "name"), why);
  }
}

void print_conditions(Context& context, const json& status) {
  TextTable table({"condition", "<of", "<severity", "<since", "<evidence"});
  for (const json& one : array_of(status, "conditions")) {
    table.add({text_of(one, "id"), text_of(one, "subject"), text_of(one, "severity"),
               when(one, "since"), text_of(one, "evidence")});
  }
  context.out << '\n';
  if (table.empty()) {
    context.out << "no conditions: nothing is wrong\n";
  } else {
    table.print(context.out);
  }
}

}  // namespace

int status_show(Context& context) {
  const auto status = call(context, "status");
  if (!status) return report(context, status.error());
  if (context.json) {
    print_json(context, *status);
    return kExitOk;
  }
  context.out << printable(fmt::format("tfod {}, instance {}, pid {}, up {}",
                                       text_of(*status, "version"), text_of(*status, "instance"),
                                       text_of(*status, "pid"),
                                       duration_words(number_of(*status, "uptime_s"))))
              << '\n';
  print_interfaces(context, *status);
  print_pools(context, *status);
  print_servers(context, *status);
  print_guard(context, *status);
  print_monitor(context, *status);
  print_conditions(context, *status);
  return kExitOk;
}

}  // namespace tfo
