// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "loader/keys/derive.h"
#include "loader/keys/private_file.h"
#include "tools/commands.h"

namespace tfo {

namespace {

/// All that counts of a secret file, and a byte more of a longer one.
Result<Secret> read_secret(std::istream& in, const std::string& name) {
  Secret content;
  content.buffer().resize(DerivedSecret::kMaxFile + 1);
  in.read(content.buffer().data(), static_cast<std::streamsize>(content.buffer().size()));
  if (in.bad()) return fail_errno(name);
  content.buffer().resize(static_cast<size_t>(in.gcount()));
  return content;
}

Result<Secret> open_secret(Context& context, const std::string& file) {
  if (file == "-") return read_secret(context.in, "standard input");
  struct stat info{};
  std::ifstream in(file, std::ios::binary);
  if (!in || stat(file.c_str(), &info) != 0) return fail_errno("--secret " + file);
  // A pipe is nobody else's; tfod itself refuses a file that others can reach.
  const auto safe = check_private(info, "secret", "replace the secret");
  if (S_ISREG(info.st_mode) && !safe) {
    context.err << "tfoctl: warning: " << file << ": " << safe.error().message << '\n';
  }
  return read_secret(in, file);
}

Result<Secret> derive(Context& context, const DeriveArgs& args) {
  auto content = open_secret(context, args.secret);
  if (!content) return content;
  const auto secret = DerivedSecret::parse(content->view());
  const std::string name = args.secret == "-" ? "standard input" : args.secret;
  if (!secret) return fail(name + ": " + secret.error().message);
  if (auto usable = secret->check(); !usable) return fail(name + ": " + usable.error().message);
  return derived_text(*secret, args.interval, args.at.value_or(std::time(nullptr)));
}

}  // namespace

int key_derive(Context& context, const DeriveArgs& args) {
  const auto text = derive(context, args);
  if (!text) return report(context, text.error());
  if (context.json) {
    const size_t comma = text->view().find(',');
    print_json(context, {{"primary", text->view().substr(0, comma)},
                         {"backup", text->view().substr(comma + 1)}});
  } else {
    context.out << text->view() << '\n';
  }
  return kExitOk;
}

}  // namespace tfo
