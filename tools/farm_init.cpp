// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <filesystem>

#include "bpf/tfo_abi.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/farm_etcd.h"
#include "tools/farm_first.h"
#include "tools/farm_key_file.h"
#include "tools/farm_plan.h"
#include "tools/keytext.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;
using rotation::FarmKey;

namespace {

/// How to give all nodes the key file.
std::string copy_words(const std::string& path) {
  return fmt::format("scp -p {} root@NODE:{}/", path,
                     std::filesystem::path(path).parent_path().string());
}

std::string words_of_refusal(const FarmPlan& plan, const FoundDocument& found) {
  return fmt::format(
      "farm {}, pool {}: etcd has document {} already. A node joins that farm with a copy of its "
      "{}, and needs no init; `--force-new` gives the document and its keys up and begins anew",
      plan.farm.name, plan.pool, found.words(), plan.farm.key_file);
}

int print_made(Context& context, const FarmPlan& plan, const FarmKey& key, bool key_made,
               const rotation::Document& document) {
  const std::string counter = document.counter.text();
  const std::string hash = rotation::hash_of(document);
  if (context.json) {
    print_json(context, {{"farm", plan.farm.name},
                         {"pool", plan.pool},
                         {"counter", counter},
                         {"hash", hash},
                         {"generations", document.generations.size()},
                         {"key_file", plan.farm.key_file},
                         {"key_file_made", key_made},
                         {"line", key.newest()},
                         {"line_fingerprint", key.fingerprint(key.newest())}});
    return kExitOk;
  }
  context.out << fmt::format(
      "farm {}, pool {}: wrote document {} (hash {})\n"
      "sealed under line {} (fingerprint {}) of {}{}\n\n"
      "Next, on this node:\n"
      "  {}      # for each of the farm's nodes\n"
      "then start tfod everywhere; `tfoctl node list {}` shows who has joined.\n",
      plan.farm.name, plan.pool, counter, hash, key.newest(), key.fingerprint(key.newest()),
      plan.farm.key_file, key_made ? ", which was made (mode 0600)" : "",
      copy_words(plan.farm.key_file), plan.pool);
  return kExitOk;
}

/// The keys to begin with; none: a random one.
Result<std::vector<Key>> first_keys(Context& context, const std::string& file) {
  if (file.empty()) return std::vector<Key>();
  return read_keys(context, KeySource{"", file}, TFO_MAX_GENERATIONS);
}

/// The farm key, made if there is none. A file that is there is used as it is.
Result<FarmKey> take_key(const std::string& path, const std::optional<FarmKey>& there) {
  if (there) return *there;
  return make_farm_key(path);
}

int begin(Context& context, const FarmFileArgs& args, const FarmPlan& plan,
          const std::vector<Key>& keys) {
  const auto read = read_farm_key(plan.farm.key_file);
  if (!read) return report(context, read.error());
  const std::optional<FarmKey>& there = *read;
  const auto etcd = FarmEtcd::open(context, plan.farm.etcd);
  if (!etcd) return report(context, etcd.error());
  const auto looked = find_document(**etcd, plan, there ? &*there : nullptr);
  if (!looked) return report(context, looked.error());
  const std::optional<FoundDocument>& found = *looked;
  if (found && !args.force_new) return say_no(context, words_of_refusal(plan, *found));

  // Only now: etcd has answered, and a farm that is there has a key already.
  const auto key = take_key(plan.farm.key_file, there);
  if (!key) return report(context, key.error());
  const auto document = make_first(plan, *key, keys, found);
  if (!document) return report(context, document.error());
  const auto written = write_first(**etcd, plan, *key, *document, found);
  if (!written) return report(context, written.error());
  return print_made(context, plan, *key, !there, *document);
}

}  // namespace

int farm_init(Context& context, const FarmFileArgs& args) {
  const auto plan = load_plan(context, args.config, args.pool);
  if (!plan) return report(context, plan.error());
  const auto keys = first_keys(context, args.keys);
  if (!keys) return report(context, keys.error());
  return begin(context, args, *plan, *keys);
}

int farm_new_line(Context& context, const FarmFileArgs& args) {
  const auto farm = load_farm(context, args.config);
  if (!farm) return report(context, farm.error());
  const auto number = append_farm_key(farm->key_file);
  if (!number) return report(context, number.error());
  const auto key = FarmKey::load(farm->key_file);
  if (!key) return report(context, key.error());
  const std::string fingerprint = key->fingerprint(*number);
  if (context.json) {
    print_json(
        context,
        {{"key_file", farm->key_file}, {"line", *number}, {"line_fingerprint", fingerprint}});
    return kExitOk;
  }
  context.out << fmt::format(
      "{}: appended line {} (fingerprint {})\n\n"
      "Next, on this node:\n"
      "  {}      # for each of the farm's other nodes\n"
      "  tfoctl farm rekey --wait      # for each pool; refused while a node lacks the line\n",
      farm->key_file, *number, fingerprint, copy_words(farm->key_file));
  return kExitOk;
}

}  // namespace tfo
