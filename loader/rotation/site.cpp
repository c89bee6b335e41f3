// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/site.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "loader/log.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kMostPoll{8000};
constexpr milliseconds kConfirmSlack{2000};

/// Changes whenever the file does.
std::string stamp_of(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{}.{}.{}.{}", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

}  // namespace

uint32_t claimed_line(std::string_view value) {
  const auto object = etcd::parse_object(value);
  if (!object) return 0;
  const auto found = object->find("key");
  return found != object->end() && found->is_number_unsigned() ? found->get<uint32_t>() : 0;
}

milliseconds random_part(milliseconds most) {
  return milliseconds(randombytes_uniform(static_cast<uint32_t>(most.count()) + 1));
}

Site::Site(EventLoop& on, Settings with, const Clock& by, std::function<void()> changed)
    : loop(on),
      settings(std::move(with)),
      clock(by),
      instance(id_text(random_id())),
      troubles(std::move(changed)),
      sealer_(settings.farm, settings.pool),
      state_file_(settings.state_file) {}

Result<std::unique_ptr<Site>> Site::create(EventLoop& loop, Settings settings, const Clock& clock,
                                           std::function<void()> changed) {
  for (const auto& [name, field] :
       {std::pair(&settings.farm, "farm.name"), std::pair(&settings.pool, "the pool's name"),
        std::pair(&settings.node, "farm.node")}) {
    if (auto checked = check_name(*name, field); !checked) return tl::unexpected(checked.error());
  }
  std::unique_ptr<Site> site(new Site(loop, std::move(settings), clock, std::move(changed)));
  if (auto loaded = site->load(); !loaded) return tl::unexpected(loaded.error());
  auto client = etcd::Client::create(loop, site->settings.etcd);
  if (!client) return tl::unexpected(client.error());
  site->client = std::move(*client);
  return site;
}

Result<> Site::load() {
  farm_key_stamp_ = stamp_of(settings.farm_key_file);
  auto key = FarmKey::load(settings.farm_key_file);
  if (!key) return tl::unexpected(key.error());
  farm_key_ = std::move(*key);
  auto known = state_file_.load();
  if (!known) return tl::unexpected(known.error());
  const auto& found = *known;
  if (!found) return {};
  remembered = *found;
  return remembered.sealed.empty() ? Result<>() : open_remembered();
}

Result<> Site::open_remembered() {
  const auto forget = [this](const std::string& why) {
    log_warning("{}: begins anew from etcd: {}", settings.state_file, why);
    remembered.sealed.clear();
    return Result<>();
  };
  const uint32_t line = claimed_line(remembered.sealed);
  // The farm key was changed while this node was away: what it knew cannot be read any more.
  if (line != 0 && line < farm_key_.numbers().front()) {
    return forget(fmt::format("it is sealed under line {} of the farm key, which {} has no more",
                              line, settings.farm_key_file));
  }
  const auto advise = [this](Error error) {
    return tl::unexpected(std::move(error).in(settings.state_file + " (put " +
                                              settings.farm_key_file +
                                              " right, or remove the state file)"));
  };
  const auto opened = open_any(kRing, remembered.sealed);
  if (!opened) return advise(opened.error());
  auto known = decode_document(opened->text);
  if (!known) return advise(known.error());
  hash = hash_of(*known);
  document = std::move(*known);
  tell_lost();
  return {};
}

std::string Site::key(std::string_view name) const {
  return pool_prefix(settings.farm, settings.pool).append(name);
}

std::string Site::own(std::string_view prefix) const { return std::string(prefix) + settings.node; }

int64_t Site::now() const { return std::max(clock.now().unix_s, remembered.newest); }

milliseconds Site::poll() const { return std::min(kMostPoll, ttl() / 2); }

milliseconds Site::confirm_window() const { return poll() + kConfirmSlack; }

Result<Opened> Site::open(const std::string& name, const std::string& value) const {
  return sealer_.open(farm_key_, remembered.min_key, name, value);
}

Result<Opened> Site::open_any(const std::string& name, const std::string& value) const {
  return sealer_.open(farm_key_, 0, name, value);
}

Result<std::string> Site::seal(const std::string& name, const Counter& counter,
                               std::string_view text, uint32_t number) {
  const uint32_t line = std::max(number, remembered.min_key);
  if (farm_key_.fingerprint(line).empty()) {
    const std::string lacks =
        fmt::format("{} has no line {}: copy it from another node", settings.farm_key_file, line);
    troubles.raise(kFarmKeyMissing, lacks);
    return fail(lacks);
  }
  return sealer_.seal(farm_key_, line, name, counter, text);
}

bool Site::lacks_line_of(const std::string& value) const {
  const uint32_t line = claimed_line(value);
  // Below min_key is what was given up: it is old, whether the line is still there or not.
  return line != 0 && line >= remembered.min_key && farm_key_.fingerprint(line).empty();
}

bool Site::reload_farm_key() {
  const std::string stamp = stamp_of(settings.farm_key_file);
  if (stamp == farm_key_stamp_) return false;
  farm_key_stamp_ = stamp;
  auto key = FarmKey::load(settings.farm_key_file);
  if (!key) {
    troubles.raise(kFarmKeyMissing, key.error().message + " (goes on with what was read before)");
    return false;
  }
  farm_key_ = std::move(*key);
  troubles.clear(kFarmKeyMissing);
  return true;
}

void Site::tell(const etcd::Fault& fault) {
  const bool away = fault.kind == etcd::FaultKind::kUnreachable ||
                    fault.kind == etcd::FaultKind::kNoAnswer ||
                    fault.kind == etcd::FaultKind::kUnavailable;
  const char* id = away ? kStoreUnreachable : kStoreRefused;
  if (!troubles.raised(id)) log_warning("pool {}: {}", settings.pool, fault.message);
  troubles.raise(id, fault.message);
  if (!away) troubles.settle(id);
}

Result<> Site::keep(const Document& next, const std::string& sealed) {
  Remembered known = remembered;
  known.sealed = sealed;
  known.min_key = std::max(known.min_key, next.min_key);
  known.newest = std::max(known.newest, next.issued_at);
  known.lost = lost_revocations(remembered.lost, document, next);
  if (auto saved = save(known); !saved) return saved;
  document = next;
  hash = hash_of(next);
  tell_lost();
  return {};
}

void Site::tell_lost() {
  if (remembered.lost.empty()) return troubles.clear(kRevocationLost);
  std::string ids;
  for (const uint64_t id : remembered.lost) ids += (ids.empty() ? "" : " and ") + id_text(id);
  std::string evidence = fmt::format(
      "document {} does not know that {} was revoked, as this node does: etcd was restored from a "
      "backup; it is asked for again, and not accepted here meanwhile",
      known().counter.text(), ids);
  const Document safe = guarded(known(), remembered.lost);
  if (remembered.lost.contains(safe.current)) {
    evidence += fmt::format("; but for {}, which servers hold until then: they have no other key",
                            id_text(safe.current));
  }
  troubles.raise(kRevocationLost, evidence);
}

void Site::keep_joined(bool joined) {
  if (remembered.joined == joined) return;
  Remembered known = remembered;
  known.joined = joined;
  (void)save(known);  // raised; it only matters to the next start
}

Result<> Site::save(const Remembered& next) {
  const auto saved = state_file_.save(next);
  if (!saved) {
    troubles.raise(kStateUnsaved, saved.error().message);
    return saved;
  }
  troubles.clear(kStateUnsaved);
  remembered = next;
  return {};
}

}  // namespace tfo::rotation
