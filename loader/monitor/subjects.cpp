// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/subjects.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "bpf/synack_core.h"
#include "loader/monitor/density.h"

namespace tfo {
namespace {

Result<> check(const MonitorSubject& subject) {
  for (const MonitorPrefix& prefix : subject.prefixes) {
    if (network_of_length(prefix.address, prefix.length) == prefix) continue;
    return fail(subject.name + ": " + network_text(prefix) + " has bits set beyond its length");
  }
  if (!subject.each_address) return {};
  if (subject.prefixes.size() != 1) return fail(subject.name + ": a declared prefix is one prefix");
  const MonitorPrefix& prefix = subject.prefixes[0];
  if (prefix.is_v4() ? prefix.length < kWidestCounted : prefix.length > 64) {
    return fail(subject.name +
                ": a declared prefix is /14 or longer of IPv4, /64 or shorter of IPv6");
  }
  return {};
}

/// Those that are known keep their numbers, the others get what is free.
Result<> number(const std::vector<std::string>& keys, uint32_t most,
                const std::map<std::string, uint16_t>& before, MonitorPlan& plan) {
  std::set<uint16_t> taken;
  for (const std::string& key : keys) {
    const auto had = before.find(key);
    if (had == before.end() || had->second >= most) continue;
    plan.numbers.emplace(key, had->second);
    taken.insert(had->second);
  }
  uint16_t next = 1;
  for (const std::string& key : keys) {
    if (plan.numbers.contains(key)) continue;
    while (taken.contains(next)) next++;
    if (next >= most) {
      return fail("no room for " + key.substr(0, key.find('\n')) + " among what is monitored");
    }
    plan.numbers.emplace(key, next);
    taken.insert(next);
  }
  return {};
}

/// Each declared prefix of IPv4 begins at a net of its own; those of IPv6 have as many counters for
/// their /64s each.
Result<> place(const std::vector<MonitorSubject>& subjects, MonitorPlan& plan) {
  const auto is_declared = [](bool v4) {
    return [v4](const MonitorSubject& subject) {
      return subject.each_address && subject.prefixes[0].is_v4() == v4;
    };
  };
  const auto ipv6 = static_cast<uint32_t>(std::ranges::count_if(subjects, is_declared(false)));
  const unsigned bits = ipv6 == 0 ? 0 : std::bit_width(TFO_SUBNETS / ipv6) - 1;
  uint32_t next = 0, next_subnet = 0;
  for (const MonitorSubject& subject : subjects) {
    if (!subject.each_address) continue;
    MonitorCells cells;
    if (is_declared(true)(subject)) {
      cells.first_net = next;
      cells.nets = std::max(1U, (1U << (128 - subject.prefixes[0].length)) / 256);
    } else {
      cells.first_subnet = next_subnet;
      cells.subnet_bits = std::min(bits, 64 - subject.prefixes[0].length);
      next_subnet += 1U << cells.subnet_bits;
    }
    next += cells.nets;
    if (next > TFO_PREFIX_CELLS / 256) {
      return fail(subject.name + ": the declared prefixes have more than 2^18 IPv4 addresses");
    }
    plan.cells.emplace(subject.name, cells);
  }
  return {};
}

bool is_asymmetric(const MonitorSubject& subject) { return subject.kind == TFO_TARGET_ASYMMETRIC; }

/// The longest declared prefix that holds this one, or nullptr. Every SYN-ACK of an asymmetric
/// network is counted, honest ones too: it is no part of one where each is an accusation.
const MonitorSubject* around(const std::vector<const MonitorSubject*>& declared,
                             const MonitorSubject& subject, const MonitorPrefix& prefix) {
  const MonitorSubject* found = nullptr;
  for (const MonitorSubject* one : declared) {
    if (!holds(one->prefixes[0], prefix) || is_asymmetric(*one) != is_asymmetric(subject)) continue;
    if (found == nullptr || one->prefixes[0].length > found->prefixes[0].length) found = one;
  }
  return found;
}

/// A prefix of a subject, the declared one around it (nullptr: none), and whose number it has.
struct Placed {
  const MonitorSubject* subject;
  const MonitorPrefix* prefix;
  const MonitorSubject* wide;
  std::string key;
};

std::vector<Placed> place_all(const std::vector<MonitorSubject>& subjects,
                              const std::vector<const MonitorSubject*>& declared) {
  std::vector<Placed> out;
  for (const MonitorSubject& subject : subjects) {
    std::map<const MonitorSubject*, std::string> keys;  // by what is around
    for (const MonitorPrefix& prefix : subject.prefixes) {
      const MonitorSubject* wide = around(declared, subject, prefix);
      const std::string key = keys.empty() ? subject.name : place_key(subject, prefix);
      out.push_back({&subject, &prefix, wide, keys.emplace(wide, key).first->second});
    }
  }
  return out;
}

/// Rows of the map of targets, and each subject's places.
Result<> add_targets(const std::vector<Placed>& all, MonitorPlan& plan) {
  std::map<std::pair<MonitorAddress, unsigned>, std::string> owners;
  for (const auto& [subject, prefix, wide, key] : all) {
    const auto owner = owners.emplace(std::pair(prefix->address, prefix->length), subject->name);
    if (!owner.second) {
      return fail(network_text(*prefix) + " belongs to " + subject->name + " and to " +
                  owner.first->second);
    }
    MonitorTarget target;
    target.key.length = prefix->length;
    std::memcpy(target.key.prefix, prefix->address.data(), sizeof(target.key.prefix));
    target.value.subject = plan.numbers.at(key);
    target.value.kind = static_cast<__u8>(subject->kind);
    if (wide != nullptr) {
      target.value.around = plan.numbers.at(wide->name);
      target.value.around_length = static_cast<__u8>(wide->prefixes[0].length);
      target.value.first = plan.cells.at(wide->name).first();
    }
    plan.targets.push_back(target);
    const bool part = wide != nullptr && wide != subject;
    const MonitorPlace place{target.value.subject, part ? wide->name : ""};
    std::vector<MonitorPlace>& places = plan.places[subject->name];
    if (std::ranges::find(places, place) == places.end()) places.push_back(place);
  }
  return {};
}

}  // namespace

bool MonitorSubject::local() const {
  return std::ranges::all_of(prefixes, [this](const MonitorPrefix& prefix) {
    return prefix.length == 128 && here.contains(prefix.address);
  });
}

std::vector<std::string_view> monitor_rules(const MonitorSubject& subject) {
  if (subject.kind == TFO_TARGET_ASYMMETRIC) return {"asymmetric"};
  std::vector<std::string_view> rules;
  if (subject.each_address) rules.push_back(kCarpetRule);
  if (subject.kind == TFO_TARGET_TRACKED) {
    rules.push_back("tracked");
  } else {
    rules.insert(rules.end(), {"vip", kSlowRule});
  }
  return rules;
}

double usual_background(const MonitorSubject& subject) {
  double rate = 0;
  for (const MonitorPrefix& prefix : subject.prefixes) {
    if (prefix.is_v4())
      rate += kUsualBackground * std::ldexp(1.0, static_cast<int>(128 - prefix.length));
  }
  return rate;
}

uint64_t alarm_bits(const MonitorSubject& subject) {
  uint64_t bits = 0;
  for (const MonitorPrefix& prefix : subject.prefixes) {
    bits |= prefix.length == 128 ? tfo_alarm_bit(prefix.address[15]) : ~uint64_t{0};
  }
  return bits;
}

std::string place_key(const MonitorSubject& subject, const MonitorPrefix& first) {
  return subject.name + "\n" + network_text(first);
}

Result<MonitorPlan> plan_monitor(const std::vector<MonitorSubject>& subjects, uint32_t most,
                                 const std::map<std::string, uint16_t>& before) {
  MonitorPlan plan;
  std::set<std::string> names;
  std::vector<const MonitorSubject*> declared;
  for (const MonitorSubject& subject : subjects) {
    if (!names.insert(subject.name).second) return fail(subject.name + " is there twice");
    if (auto good = check(subject); !good) return tl::unexpected(good.error());
    if (subject.each_address) declared.push_back(&subject);
  }
  const std::vector<Placed> all = place_all(subjects, declared);
  std::vector<std::string> keys;
  std::ranges::transform(subjects, std::back_inserter(keys), &MonitorSubject::name);
  for (const Placed& one : all) {
    if (one.key != one.subject->name) keys.push_back(one.key);
  }
  if (auto done = number(keys, most, before, plan); !done) return tl::unexpected(done.error());
  if (auto done = place(subjects, plan); !done) return tl::unexpected(done.error());
  if (auto done = add_targets(all, plan); !done) return tl::unexpected(done.error());
  for (const MonitorSubject& subject : subjects) {
    std::vector<MonitorPlace>& places = plan.places[subject.name];
    if (places.empty()) places.push_back({plan.numbers.at(subject.name)});
  }
  return plan;
}

}  // namespace tfo
