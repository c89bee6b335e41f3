// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <CLI/CLI.hpp>

#include "tools/commands.h"

namespace tfo {

inline constexpr const char* kDeriveHelp =
    "Print the keys of a derived pool, which are secrets: primary,backup as the servers hold them";
inline constexpr const char* kDeriveExamples =
    "  tfoctl key derive --secret /etc/tfoguard/web.secret --interval 86400\n"
    "  tfoctl key derive --secret - --interval 86400 --at 1700000000 < web.secret\n";

/// The options of `key derive`. Returns the command.
CLI::App* add_derive_options(CLI::App* command, DeriveArgs& args);

}  // namespace tfo
