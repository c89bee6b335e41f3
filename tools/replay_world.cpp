// SPDX-License-Identifier: BSD-2-Clause
#include "tools/replay_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "loader/keys/redact.h"
#include "tools/keytext.h"

namespace tfo {

namespace {

Result<> check_options(const WorldArgs& args) {
  const bool keys = !args.keys.text.empty() || !args.keys.file.empty();
  if (args.config.empty()) {
    if (args.interface.empty()) return {};
    return fail("--interface names an interface of a configuration: give --config FILE too");
  }
  if (keys) {
    return fail("--config names the key files of its pools: leave --key and --key-file away");
  }
  if (!args.decap.empty()) {
    return fail("--config says what its interfaces look into (\"decap\"): leave --decap away");
  }
  return {};
}

Result<uint8_t> decap_of(const std::vector<std::string>& names) {
  uint8_t decap = 0;
  for (const std::string& name : names) {
    if (name == "ipip") {
      decap |= TFO_DECAP_IPIP;
    } else if (name == "gue") {
      decap |= TFO_DECAP_GUE;
    } else {
      return fail(fmt::format("--decap '{}': must be ipip or gue", without_keys(name)));
    }
  }
  return decap;
}

Result<> check_interface(const Config& config, const WorldArgs& args) {
  if (args.interface.empty()) return {};
  std::string names;
  for (const InterfaceConfig& interface : config.interfaces) {
    if (interface.name == args.interface) return {};
    names += (names.empty() ? "" : ", ") + interface.name;
  }
  return fail(fmt::format("--interface '{}': {} has {}", without_keys(args.interface), args.config,
                          names.empty() ? "no interfaces" : names));
}

Result<ReplayWorld> configured_world(Context& context, const WorldArgs& args) {
  const ConfigResult config = load_config(args.config);
  if (!config) {
    for (const ConfigError& error : config.error()) {
      context.err << without_keys(error.text()) << '\n';
    }
    return fail(fmt::format("--config {} cannot be used: see above", without_keys(args.config)));
  }
  auto known = check_interface(*config, args);
  if (!known) return tl::unexpected(std::move(known).error());
  return ReplayWorld::for_config(*config);
}

}  // namespace

Result<ReplayWorld> open_world(Context& context, const WorldArgs& args) {
  auto checked = check_options(args);
  if (!checked) return tl::unexpected(std::move(checked).error());
  if (!args.config.empty()) return configured_world(context, args);
  const auto decap = decap_of(args.decap);
  if (!decap) return tl::unexpected(decap.error());
  if (args.keys.text.empty() && args.keys.file.empty()) return ReplayWorld::for_keys({}, *decap);
  const auto keys = read_keys(context, args.keys, TFO_MAX_GENERATIONS);
  if (!keys) return tl::unexpected(keys.error());
  if (std::ranges::any_of(*keys, &Key::is_zero)) {
    context.err
        << "tfoctl: warning: a key is all zero, which is what tcp_fastopen_key reads on a host "
           "that has none yet\n";
  }
  return ReplayWorld::for_keys(*keys, *decap);
}

}  // namespace tfo
