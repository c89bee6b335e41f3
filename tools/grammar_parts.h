// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Only the grammar's files know CLI11: it takes seconds to compile.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "tools/commands.h"

namespace tfo {

/// What the command line filled in, and the command that it names.
struct Invocation {
  StatsArgs stats{"", 0, 1.0};
  TopArgs top;
  GuardArgs guard;
  AlertArgs alert{"", "", 0, 1.0};
  KeyArgs key;
  FarmArgs farm;
  FarmFileArgs farm_file;
  AuditArgs audit;
  DeriveArgs derive;
  CookieArgs cookie;
  DetachArgs detach;
  BenchArgs bench;
  ReplayArgs replay;
  ExplainArgs explain;
  std::function<int(Context&)> run;
};

/// A command with its help, the options that every command knows, and examples.
CLI::App* add_command(CLI::App* parent, Context& context, const std::string& name,
                      const std::string& help, const std::string& examples);

/// A word that groups commands: `tfoctl key` alone is wrong usage.
CLI::App* add_object(CLI::App* root, Context& context, const std::string& name,
                     const std::string& help, const std::string& examples);

/// grammar_top.cpp: the command `top`.
void add_top(CLI::App& root, Context& context, Invocation& what);

/// grammar_guard.cpp: the object `guard`.
void add_guard(CLI::App& root, Context& context, Invocation& what);

/// grammar_alert.cpp: the object `alert`.
void add_alert(CLI::App& root, Context& context, Invocation& what);

/// grammar_key.cpp: the object `key`.
void add_key(CLI::App& root, Context& context, Invocation& what);

/// grammar_farm.cpp: the objects `node` and `farm`, and --wait for what a farm does.
void add_node(CLI::App& root, Context& context, Invocation& what);
void add_farm(CLI::App& root, Context& context, Invocation& what);
void add_waiting(CLI::App* command, FarmArgs& args);

}  // namespace tfo
