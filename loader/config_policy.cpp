// SPDX-License-Identifier: BSD-2-Clause
// What a VIP does with the SYNs that come to it.
#include <fmt/format.h>

#include <bit>
#include <utility>

#include "loader/config_parser.h"
#include "loader/pool_store.h"

namespace tfo {
namespace {

constexpr int64_t kMaxDropRate = 1'000'000;  // a second

/// Reads one of `choices` into `out`, if the field is there.
void action(ConfigObject& object, std::string_view name,
            const std::vector<std::pair<std::string_view, tfo_action>>& choices, tfo_action& out) {
  const auto field = object.optional(name);
  if (!field) return;
  std::vector<std::string_view> words;
  words.reserve(choices.size());
  for (const auto& [word, meaning] : choices) words.push_back(word);
  if (const auto chosen = field->choice(words)) out = choices[*chosen].second;
}

}  // namespace

void ConfigParser::actions(ConfigObject& object, const ConfigNode& node, VipConfig& out) {
  mode(object, node, out);
  renew(object, out);
  policy(object, out.policy);
  rates(object, out.policy);
  if (const auto field = object.optional("guard")) guard(*field, out.guard);
}

void ConfigParser::mode(ConfigObject& object, const ConfigNode& node, VipConfig& out) {
  constexpr tfo_vip_mode kModes[] = {TFO_OBSERVE, TFO_CANARY, TFO_ENFORCE};
  const auto field = object.optional("mode");
  if (field) {
    if (const auto chosen = field->choice({"observe", "canary", "enforce"})) {
      out.mode = kModes[*chosen];
    }
  }
  const auto share = object.optional("canary");
  if (share) {
    const auto percent = share->integer(1, 99, "percent of the client prefixes");
    out.canary = static_cast<unsigned>(percent.value_or(1));
    if (field && out.mode != TFO_CANARY) {
      share->complain("is the share of mode \"canary\", and this VIP has another mode",
                      "give the VIP \"mode\": \"canary\", or remove this field");
    }
    if (!field) {
      share->complain("is the share of mode \"canary\", and this VIP has no \"mode\"",
                      "give the VIP \"mode\": \"canary\", or remove this field");
    }
  } else if (out.mode == TFO_CANARY) {
    node.complain(
        "is in mode \"canary\" and does not say for whom",
        "give the percent of the client prefixes that are enforced, such as \"canary\": 5");
  }
}

void ConfigParser::renew(ConfigObject& object, VipConfig& out) {
  const auto field = object.optional("renew");
  if (!field) return;
  out.renew = field->boolean().value_or(false);
  const PoolConfig* pool = config_.pool(out.pool);
  if (!out.renew || pool == nullptr || pool->store != StoreKind::kDerived) return;
  if (const auto able = derived_policy(*pool).can_renew(); !able) {
    field->complain(fmt::format("cannot be with pool \"{}\"", out.pool), able.error().message);
  }
}

void ConfigParser::policy(ConfigObject& object, PolicyConfig& out) {
  action(object, "on_invalid", {{"pass", TFO_PASS}, {"demote", TFO_DEMOTE}, {"drop", TFO_DROP}},
         out.on_invalid);
  action(object, "on_data_without_option", {{"pass", TFO_PASS}, {"drop", TFO_DROP}},
         out.on_data_without_option);
  action(object, "on_truncated", {{"pass", TFO_PASS}, {"drop", TFO_DROP}}, out.on_truncated);
  if (const auto field = object.optional("protect_syn_queue")) {
    out.retry = field->choice({"off", "retry"}) == size_t{1};
  }
  if (const auto field = object.optional("signed")) {
    out.passes_signed = field->boolean().value_or(false);
  }
}

void ConfigParser::rates(ConfigObject& object, PolicyConfig& out) {
  const auto unproven = object.optional("unproven_rate");
  if (unproven) {
    const auto rate = unproven->integer(1, kMaxDropRate, "SYNs a second");
    if (rate) out.unproven_rate = static_cast<unsigned>(*rate);
  }
  if (const auto field = object.optional("drop_above")) {
    const auto rate = field->integer(1, kMaxDropRate, "invalid cookies a second");
    out.drop_above = static_cast<unsigned>(rate.value_or(1));
    if (rate && out.unproven_rate && out.drop_above > *out.unproven_rate) {
      field->complain(fmt::format("is {}, above the VIP's \"unproven_rate\"", out.drop_above),
                      fmt::format("give at most {}: more would fill the servers' SYN queues before "
                                  "any is dropped",
                                  *out.unproven_rate));
    }
    if (rate && out.on_invalid != TFO_DROP) {
      field->complain("does nothing without \"on_invalid\": \"drop\"",
                      "give the VIP that, or remove this field");
    }
  }
  if (const auto field = object.optional("duplicate_window")) {
    using std::chrono::seconds;
    // As long as the programs remember a handshake (TFO_PENDING_BUCKETS).
    out.duplicate_window = field->duration(seconds{1}, seconds{120}, true).value_or(seconds{60});
  }
}

void ConfigParser::guard(const ConfigNode& node, GuardConfig& out) {
  if (node.is_word("off")) {
    out.on = false;
    return;
  }
  ConfigObject object(node, R"(such as {"limit": 32}, or "off")");
  const auto take = [&](std::string_view name, std::string_view what) -> std::optional<unsigned> {
    const auto field = object.optional(name);
    if (!field) return std::nullopt;
    const auto number = field->integer(1, kMaxDropRate, what);
    return number ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
  };
  out.address_limit = take("address_limit", "handshakes that one client address may hold open");
  out.limit = take("limit", "handshakes that one client network may hold open");
  out.site_limit = take("site_limit", "handshakes that one client /48 may hold open");
  out.vip_limit = take("vip_limit", "handshakes that all clients together may hold open");
  out.open_rate = take("open_rate", "handshakes a second of one client network").value_or(0);
  object.finish();
  const std::pair<const char*, std::optional<unsigned>> ladder[] = {
      {"address_limit", out.address_limit},
      {"limit", out.limit},
      {"site_limit", out.site_limit},
      {"vip_limit", out.vip_limit}};
  const char* finer = nullptr;
  unsigned finer_limit = 0;
  for (const auto& one : ladder) {
    if (!one.second) continue;
    if (finer != nullptr && finer_limit > *one.second) {
      node.complain(fmt::format("has \"{}\" above its \"{}\"", finer, one.first),
                    "give a part of the clients no more than the whole");
    }
    finer = one.first;
    finer_limit = *one.second;
  }
}

/// Of the node, whatever its VIPs.
void ConfigParser::guard_tables(const ConfigNode& node) {
  constexpr int64_t kFewest = 1024, kMost = 16'777'216;
  ConfigObject object(node, R"(such as {"handshakes": 262144})");
  if (const auto field = object.optional("handshakes")) {
    const auto number = field->integer(kFewest, kMost, "handshakes, a power of two");
    if (number && !std::has_single_bit(static_cast<uint64_t>(*number))) {
      field->complain(fmt::format("is {}, which is no power of two", *number),
                      fmt::format("give {} or {}", std::bit_floor(static_cast<uint64_t>(*number)),
                                  std::bit_ceil(static_cast<uint64_t>(*number))));
    } else if (number) {
      config_.handshakes = static_cast<unsigned>(*number);
    }
  }
  object.finish();
}

}  // namespace tfo
