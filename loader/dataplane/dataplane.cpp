// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/dataplane.h"

#include <algorithm>
#include <bit>
#include <ctime>

#include "loader/dataplane/instances.h"
#include "loader/dataplane/interface_set.h"
#include "loader/dataplane/libbpf_log.h"
#include "loader/dataplane/migration.h"
#include "loader/keys/sink.h"

namespace tfo {
namespace {

int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

int64_t system_boot_offset() { return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME); }

size_t row_count(const std::vector<VipConfig>& vips) {
  size_t rows = 0;
  for (const auto& vip : vips) {
    rows += vip.addresses.size() * std::max<size_t>(vip.ports.size(), 1);
  }
  return rows;
}

}  // namespace

const char* interface_state_name(InterfaceState state) {
  switch (state) {
    case InterfaceState::kNative:
      return "native";
    case InterfaceState::kGeneric:
      return "generic";
    case InterfaceState::kGone:
      return "gone";
    case InterfaceState::kFailed:
      return "failed";
  }
  return "failed";
}

class Dataplane::Impl {
 public:
  Impl(DataplaneOptions options, PinDirectory pins, GracePeriod grace)
      : options_(std::move(options)), pins_(std::move(pins)), grace_(std::move(grace)) {
    if (!options_.boot_offset_ns) options_.boot_offset_ns = system_boot_offset;
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (created_ && !kept_) (void)detach_all();
  }

  Result<> open();
  Result<> set_ring(const std::string& pool, const KeyRing& ring);
  Result<> verify_ring(const std::string& pool, const KeyRing& ring) const;
  bool has_keys(const std::string& pool, const KeyRing& ring) const {
    return set_->has_pool(pool) && verify_ring(pool, ring);
  }
  Result<> set_vips(const std::vector<VipConfig>& vips, const MonitorRoom& monitor);
  Result<> set_interfaces(const std::vector<InterfaceConfig>& interfaces);
  Result<> detach_all();
  LiveSet& set() { return *set_; }
  uint64_t tracking_gaps() const { return interfaces_.tracking_gaps(); }

  void keep() { kept_ = true; }
  bool adopted() const { return !created_; }
  bool reconcile() { return interfaces_.reconcile(pins_, set_->maps()); }
  const std::vector<InterfaceStatus>& interfaces() const { return interfaces_.status(); }
  Result<Snapshot> counters() const { return set_->counters(); }
  std::vector<ProgramUse> program_use() const { return interfaces_.program_use(); }

 private:
  Result<> grow(const std::vector<VipConfig>& vips, const MonitorRoom& monitor);
  Result<> fill_grown(const std::vector<VipConfig>& vips, const LiveSet& old);
  Result<> finish();

  DataplaneOptions options_;
  PinDirectory pins_;
  GracePeriod grace_;
  std::unique_ptr<LiveSet> set_;
  InterfaceSet interfaces_;
  bool created_ = false;
  bool kept_ = false;
  bool migrating_ = false;
};

Result<> Dataplane::Impl::open() {
  // A first start that fails here leaves nothing behind either.
  created_ = !pins_.has_maps() && !pins_.has_maps_new() && pins_.links().empty();
  auto opened = open_set(pins_, grace_,
                         {.vips = options_.vips,
                          .rows = options_.vip_rows,
                          .handshakes = options_.handshakes,
                          .monitor = options_.monitor});
  if (!opened) return tl::unexpected(std::move(opened).error());
  set_ = std::move(opened->set);
  created_ = opened->created;
  migrating_ = opened->migrating;
  return {};
}

Result<> Dataplane::Impl::set_ring(const std::string& pool, const KeyRing& ring) {
  auto converted = kernel_ring(ring, options_.boot_offset_ns());
  if (!converted) return tl::unexpected(std::move(converted).error().in("pool " + pool));
  auto done = set_->set_ring(pool, *converted);
  wipe_ring(*converted);
  return done;
}

Result<> Dataplane::Impl::verify_ring(const std::string& pool, const KeyRing& ring) const {
  if (!set_->has_pool(pool)) return {};  // no VIP uses it: there is nothing to differ
  auto live = set_->ring(pool);
  if (!live) return tl::unexpected(std::move(live).error());
  bool same = live->count == ring.generations.size();
  for (uint32_t i = 0; same && i < live->count; ++i) {
    const Generation& wanted = ring.generations[i];
    const tfo_generation& found = live->generation[i];
    same = found.k0 == wanted.key.k0() && found.k1 == wanted.key.k1() &&
           found.place == static_cast<uint32_t>(wanted.place);
  }
  wipe_ring(*live);
  if (!same) return fail("the keys in the BPF maps are not those of pool " + pool);
  return {};
}

Result<> Dataplane::Impl::set_vips(const std::vector<VipConfig>& vips, const MonitorRoom& monitor) {
  if (!set_->maps().sizes().hold(monitor)) return grow(vips, monitor);
  auto fit = set_->set_vips(vips);
  if (!fit) return tl::unexpected(std::move(fit).error());
  return *fit == LiveSet::Fit::kDone ? Result<>{} : grow(vips, monitor);
}

/// New, larger maps; the programs move to them at once if any are attached,
/// else with the next set_interfaces().
Result<> Dataplane::Impl::grow(const std::vector<VipConfig>& vips, const MonitorRoom& monitor) {
  MapSizes sizes = MapSizes::for_config(vips.size(), row_count(vips));
  const MapSizes now = set_->maps().sizes();
  sizes.slots = std::max(
      {sizes.slots, now.slots, std::bit_ceil(static_cast<uint32_t>(set_->slots_needed(vips)))});
  sizes.vip_rows = std::max(sizes.vip_rows, now.vip_rows);
  sizes.handshakes = now.handshakes;
  sizes.subjects = now.subjects;
  sizes.bloom_lines = now.bloom_lines;
  sizes.each_address = now.each_address;
  sizes = sizes.with(monitor);
  // A set that programs may use already must not be lost.
  auto done = migrating_ ? pins_.set_aside() : Result<>{};
  if (!done) return done;
  std::vector<std::string> names;
  names.reserve(set_->slots().end_of_names());
  for (uint32_t slot = 0; slot < set_->slots().end_of_names(); ++slot) {
    names.push_back(set_->slots().name(slot));
  }
  auto grown = make_set(pins_, grace_, sizes, names);
  if (!grown) return tl::unexpected(std::move(grown).error());
  std::unique_ptr<LiveSet> old = std::exchange(set_, std::move(*grown));
  done = fill_grown(vips, *old);
  if (done && !interfaces_.empty()) done = take_loads(pins_, *set_);
  if (done && !interfaces_.empty()) done = interfaces_.move_to(pins_, set_->maps());
  if (!done) {
    set_ = std::move(old);
    (void)pins_.abandon();
    return done;
  }
  migrating_ = true;
  return interfaces_.empty() ? Result<>{} : finish();
}

Result<> Dataplane::Impl::fill_grown(const std::vector<VipConfig>& vips, const LiveSet& old) {
  auto done = set_->copy_rings(old);
  if (!done) return done;
  auto fit = set_->set_vips(vips);
  if (fit && *fit == LiveSet::Fit::kTooSmall) {
    if (done = set_->change_seed(); !done) return done;
    fit = set_->set_vips(vips);
  }
  if (!fit) return tl::unexpected(std::move(fit).error());
  if (*fit == LiveSet::Fit::kDone) return {};
  return fail("the VIP table cannot be filled, even with " +
              std::to_string(set_->maps().sizes().vip_rows) + " rows");
}

Result<> Dataplane::Impl::finish() {
  auto done = finish_migration(pins_, grace_, *set_);
  if (done) migrating_ = false;
  return done;
}

Result<> Dataplane::Impl::set_interfaces(const std::vector<InterfaceConfig>& interfaces) {
  auto done = migrating_ ? take_loads(pins_, *set_) : Result<>{};
  if (done) done = interfaces_.assign(pins_, set_->maps(), interfaces);
  if (done && migrating_) done = finish();
  return done;
}

Result<> Dataplane::Impl::detach_all() {
  interfaces_.detach_all(pins_);
  return pins_.remove_all();
}

namespace {

/// One pool's keys in the BPF maps.
class BpfKeySink : public KeySink {
 public:
  using Apply = std::function<Result<>(const KeyRing&)>;
  BpfKeySink(Apply apply, Apply verify) : apply_(std::move(apply)), verify_(std::move(verify)) {}
  Role role() const override { return Role::validator; }
  std::string name() const override { return "bpf"; }
  Result<> apply(const KeyRing& ring) override { return apply_(ring); }
  Result<> verify(const KeyRing& ring) override { return verify_(ring); }

 private:
  Apply apply_;
  Apply verify_;
};

}  // namespace

Dataplane::Dataplane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dataplane::Dataplane(Dataplane&&) noexcept = default;
Dataplane& Dataplane::operator=(Dataplane&&) noexcept = default;
Dataplane::~Dataplane() = default;

Result<Dataplane> Dataplane::open(DataplaneOptions options) {
  route_libbpf_log();
  auto grace = GracePeriod::create();  // first: it fails where BPF is not allowed at all
  if (!grace) return tl::unexpected(std::move(grace).error());
  auto pins = PinDirectory::open(options.pin_directory, options.checkpoint);
  if (!pins) return tl::unexpected(std::move(pins).error());
  auto impl = std::make_unique<Impl>(std::move(options), std::move(*pins), std::move(*grace));
  auto opened = impl->open();
  if (!opened) return tl::unexpected(opened.error());
  return Dataplane(std::move(impl));
}

void Dataplane::keep() { impl_->keep(); }

bool Dataplane::adopted() const { return impl_->adopted(); }

Result<> Dataplane::set_ring(const std::string& pool, const KeyRing& ring) {
  return impl_->set_ring(pool, ring);
}

bool Dataplane::has_keys(const std::string& pool, const KeyRing& ring) const {
  return impl_->has_keys(pool, ring);
}

std::unique_ptr<KeySink> Dataplane::key_sink(const std::string& pool) {
  Impl* impl = impl_.get();
  return std::make_unique<BpfKeySink>(
      [impl, pool](const KeyRing& ring) { return impl->set_ring(pool, ring); },
      [impl, pool](const KeyRing& ring) { return impl->verify_ring(pool, ring); });
}

Result<> Dataplane::set_vips(const std::vector<VipConfig>& vips, const MonitorRoom& monitor) {
  return impl_->set_vips(vips, monitor);
}

Result<> Dataplane::set_servers(const VipConfig& vip, const ServerFacts& facts) {
  return impl_->set().set_servers(vip, facts);
}

Result<tfo_trigger> Dataplane::trigger(const std::string& vip) const {
  return impl_->set().trigger(vip);
}

GuardTables& Dataplane::guard() const { return impl_->set().guard(); }

const MapSet& Dataplane::maps() const { return impl_->set().maps(); }

uint64_t Dataplane::tracking_gaps() const { return impl_->tracking_gaps(); }

std::optional<uint32_t> Dataplane::slot_of(const std::string& vip) const {
  return impl_->set().slots().find(vip);
}

std::string Dataplane::vip_of(uint32_t slot) const {
  const NameTable& slots = impl_->set().slots();
  return slot < slots.size() ? slots.name(slot) : "";
}

Result<> Dataplane::set_interfaces(const std::vector<InterfaceConfig>& interfaces) {
  return impl_->set_interfaces(interfaces);
}

Result<bool> Dataplane::reconcile() { return impl_->reconcile(); }

const std::vector<InterfaceStatus>& Dataplane::interfaces() const { return impl_->interfaces(); }

Result<Snapshot> Dataplane::counters() const { return impl_->counters(); }

std::vector<ProgramUse> Dataplane::program_use() const { return impl_->program_use(); }

std::vector<MapUse> Dataplane::map_use() const { return impl_->set().use(); }

Result<> Dataplane::detach_all() { return impl_->detach_all(); }

Result<std::vector<std::string>> Dataplane::detach(const std::filesystem::path& pin_directory) {
  const auto there = has_pins(pin_directory);
  if (!there) return tl::unexpected(Error(there.error()).in("cannot detach"));
  if (!*there) return std::vector<std::string>{};
  auto pins = PinDirectory::open(pin_directory, {});
  if (!pins) return tl::unexpected(std::move(pins).error().in("cannot detach"));
  auto names = InterfaceSet().detach_all(*pins);
  auto removed = pins->remove_all();
  if (!removed) return tl::unexpected(removed.error());
  return names;
}

}  // namespace tfo
