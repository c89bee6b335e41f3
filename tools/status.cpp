// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

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
    table.add({text_of(one, "name"), text_of(one, "ifindex"), text_of(one, "mode"),
               note == "-" ? "" : note});
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
  print_conditions(context, *status);
  return kExitOk;
}

}  // namespace tfo
