// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "loader/dataplane/ring_writer.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/keys/keyring_file.h"
#include "loader/keys/rotation.h"
#include "loader/monitor/watchlist.h"

namespace tfo {
namespace {

constexpr const char* kAnyName = "any";
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kJitterNs = kSecondNs;
// More than the fragments of a frame can hold in any kernel (MAX_SKB_FRAGS is at most 45).
constexpr uint32_t kMaxFrame = 200'000;
constexpr size_t kHeadroom = 256;  // a program may lengthen the frame

tfo_load_config load_config(const InterfaceConfig& interface, bool every_vip, bool monitor) {
  tfo_load_config config{};
  config.decap = interface.decap;
  config.gue_port = htons(interface.gue_port);
  config.count_other = 1;
  config.trace = 1;
  config.partial = 1;  // what was captured on the sending host often is
  config.every_vip = every_vip ? 1 : 0;
  // The sockets of whoever replays know nothing of the capture.
  config.monitor = monitor ? interface.monitor & ~TFO_MONITOR_SOCKETS : 0;
  return config;
}

KeyRing ring_of(const std::vector<Key>& keys) {
  KeyRing ring;
  for (const Key& key : keys) {
    Generation generation;
    generation.id = ring.generations.size() + 1;
    generation.key = key;
    generation.place = ring.generations.empty() ? TFO_PLACE_CURRENT : TFO_PLACE_PREVIOUS;
    ring.generations.push_back(generation);
  }
  return ring;
}

Result<KeyRing> ring_in(const PoolConfig& pool) {
  if (pool.store == StoreKind::kEtcd) {
    return fail("pool \"" + pool.name +
                "\": its keys come from etcd; take them from a running tfod (`tfoctl key export`) "
                "and give them with --key-file");
  }
  auto state = KeyringFile(pool.file).load();
  if (!state) return tl::unexpected(std::move(state).error().in("pool \"" + pool.name + "\""));
  const std::optional<RotationState>& kept = *state;
  if (!kept) {
    return fail("pool \"" + pool.name + "\": there is no key file " + pool.file +
                "; take a configuration that names one, or give the keys with --key-file");
  }
  KeyRing ring = kept->ring;
  ring.renewal = local_renewal(ring);
  return ring;
}

uint64_t present_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

/// The errors with which kernels refuse a frame that is too long for a test run
/// (bpf_prog_test_run_xdp() in net/bpf/test_run.c).
bool is_too_long(int error, uint32_t length) {
  constexpr uint32_t kOnePiece = 3072;  // what always fits into the linear part
  return length > kOnePiece && (error == -ENOMEM || error == -EINVAL || error == -E2BIG);
}

}  // namespace

ReplayHook::ReplayHook(XdpSkeleton program, const tfo_load_config& config)
    : program_(std::move(program)), config_(config) {}

/// Which one judges the frame. SYNs that leave are remembered on the way.
Result<XdpSkeleton*> ReplayHook::program_for(const EthernetFrame& frame,
                                             std::span<const uint8_t> whole) {
  if (alarms_ == nullptr) return &program_;
  auto leaves = alarms_->leaves(frame, whole, config_);
  if (!leaves) return tl::unexpected(std::move(leaves).error());
  return *leaves && unmonitored_ ? &*unmonitored_ : &program_;
}

Result<std::optional<Judgement>> ReplayHook::judge(const EthernetFrame& frame,
                                                   std::vector<uint8_t>* out) {
  if (frame.wire_length > kMaxFrame) return std::optional<Judgement>{};
  std::span<const uint8_t> bytes = frame.bytes;
  if (bytes.size() < frame.wire_length) {
    padded_.assign(frame.wire_length, 0);
    std::ranges::copy(bytes, padded_.begin());
    bytes = padded_;
  }
  auto chosen = program_for(frame, bytes);
  if (!chosen) return tl::unexpected(std::move(chosen).error());
  XdpSkeleton& program = **chosen;
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = bytes.data();
  options.data_size_in = static_cast<uint32_t>(bytes.size());
  options.repeat = 1;
  if (out != nullptr) {
    out->resize(bytes.size() + kHeadroom);
    options.data_out = out->data();
    options.data_size_out = static_cast<uint32_t>(out->size());
  }
  const int error = bpf_prog_test_run_opts(bpf_program__fd(program->progs.tfo_xdp), &options);
  if (is_too_long(error, options.data_size_in)) return std::optional<Judgement>{};
  if (error != 0) return fail_errno("BPF_PROG_TEST_RUN", error);
  if (out != nullptr) out->resize(options.data_size_out);

  const volatile tfo_trace& trace = program->data_trace->tfo_traced;
  return Judgement{.reason = static_cast<tfo_reason>(trace.reason),
                   .option = static_cast<tfo_option_kind>(trace.option),
                   .data = trace.data != 0,
                   .verdict = static_cast<tfo_action>(trace.verdict),
                   .would = static_cast<tfo_action>(trace.would),
                   .slot = trace.slot};
}

Result<ReplayWorld> ReplayWorld::make(const std::vector<VipConfig>& vips,
                                      std::map<std::string, KeyRing> rings,
                                      const std::vector<InterfaceConfig>& interfaces,
                                      bool every_vip, const Config* monitored) {
  size_t rows = 0;
  for (const VipConfig& vip : vips) {
    rows += vip.addresses.size() * std::max<size_t>(1, vip.ports.size());
  }
  MapSizes sizes = MapSizes::for_config(vips.size(), rows);
  if (monitored != nullptr) sizes = sizes.with(watchlist_of(*monitored).room());
  auto loaded = PrivateLoad::load({}, sizes);
  if (!loaded) return tl::unexpected(std::move(loaded).error());
  ReplayWorld world(std::make_unique<PrivateLoad>(std::move(*loaded)), every_vip);
  auto done = world.load_->set_vips(vips);
  if (!done) return tl::unexpected(done.error());
  if (monitored != nullptr) {
    auto alarms = ReplayAlarms::open(world.load_->maps(), *monitored);
    if (!alarms) return tl::unexpected(std::move(alarms).error());
    world.alarms_ = std::move(*alarms);
  }
  for (const auto& [pool, ring] : rings) {
    done = world.set_ring(pool, ring);
    if (!done) return tl::unexpected(done.error());
  }
  world.rings_ = std::move(rings);
  for (const VipConfig& vip : vips) {
    const auto slot = world.load_->live().slots().find(vip.name);
    if (!slot) continue;
    world.pool_of_.emplace(*slot, vip.pool);
    world.policies_.emplace(*slot, VipPolicy{.mode = vip.mode,
                                             .renew = vip.renew,
                                             .canary = canary_share(vip),
                                             .flags = vip_flags(vip),
                                             .kernel = kernel_policy(vip.policy, {})});
  }
  for (const InterfaceConfig& interface : interfaces) {
    done = world.add_hook(interface);
    if (!done) return tl::unexpected(done.error());
  }
  return world;
}

Result<ReplayWorld> ReplayWorld::for_keys(const std::vector<Key>& keys, uint8_t decap) {
  const VipConfig any{
      .name = kAnyName, .addresses = {ConfigAddress{}}, .ports = {}, .pool = kAnyName};
  InterfaceConfig interface;
  interface.decap = decap;
  return make({any}, {{kAnyName, ring_of(keys)}}, {interface}, true);
}

Result<ReplayWorld> ReplayWorld::for_config(const Config& config) {
  std::map<std::string, KeyRing> rings;
  DerivedRings derived;
  for (const VipConfig& vip : config.vips) {
    if (rings.contains(vip.pool)) continue;
    const PoolConfig& pool = *config.pool(vip.pool);
    if (pool.store == StoreKind::kDerived) {
      if (auto added = derived.add(pool); !added) return tl::unexpected(added.error());
      rings.emplace(vip.pool, KeyRing());
      continue;
    }
    auto ring = ring_in(pool);
    if (!ring) return tl::unexpected(std::move(ring).error());
    rings.emplace(vip.pool, std::move(*ring));
  }
  std::vector<InterfaceConfig> interfaces = config.interfaces;
  if (interfaces.empty()) interfaces.emplace_back();
  auto world = make(config.vips, std::move(rings), interfaces, false, &config);
  if (!world) return world;
  world->derived_ = std::move(derived);
  return world;
}

Result<> ReplayWorld::set_ring(const std::string& pool, const KeyRing& ring) {
  // The clock is the capture's, which is unix time: nothing lies between the two.
  auto kernel = kernel_ring(ring, 0);
  if (!kernel) return tl::unexpected(std::move(kernel).error().in("pool \"" + pool + "\""));
  const auto done = load_->set_ring(pool, *kernel);
  wipe_ring(*kernel);
  return done;
}

Result<ReplayHook> ReplayWorld::load_hook(const tfo_load_config& config) {
  auto program = load_->load_beside(config);
  if (!program) return tl::unexpected(std::move(program).error());
  ReplayHook hook(std::move(*program), config);
  if (!alarms_) return hook;
  tfo_load_config unmonitored = config;
  unmonitored.monitor = 0;
  auto other = load_->load_beside(unmonitored);
  if (!other) return tl::unexpected(std::move(other).error());
  hook.unmonitored_.emplace(std::move(*other));
  hook.alarms_ = alarms_.get();
  return hook;
}

/// Interfaces that ask for the same read-only data share a load.
Result<> ReplayWorld::add_hook(const InterfaceConfig& interface) {
  const tfo_load_config config = load_config(interface, every_vip_, alarms_ != nullptr);
  auto same = std::ranges::find_if(hooks_, [&config](const ReplayHook& hook) {
    return std::memcmp(&hook.config_, &config, sizeof(config)) == 0;
  });
  if (same == hooks_.end()) {
    auto hook = load_hook(config);
    if (!hook) return tl::unexpected(std::move(hook).error());
    hooks_.push_back(std::move(*hook));
    same = std::prev(hooks_.end());
  }
  by_name_.emplace(interface.name, &*same);
  return {};
}

ReplayHook& ReplayWorld::hook(const std::string& interface) {
  const auto found = by_name_.find(interface);
  return found == by_name_.end() ? hooks_.front() : *found->second;
}

Result<bool> ReplayWorld::set_now(uint64_t time_ns) {
  if (time_ns == 0) time_ns = now_ns_ != 0 ? now_ns_ : present_ns();
  const bool back = time_ns + kJitterNs < now_ns_;
  if (time_ns > now_ns_ || back) {
    now_ns_ = time_ns;
    if (alarms_) {
      if (back) alarms_->step_back(now_ns_);
      if (auto done = alarms_->run_until(now_ns_); !done) return tl::unexpected(done.error());
    }
    load_->set_now(now_ns_);
    for (auto& [pool, ring] : derived_.at(static_cast<int64_t>(now_ns_ / kSecondNs))) {
      if (auto set = set_ring(pool, ring); !set) return tl::unexpected(std::move(set).error());
      rings_[pool] = std::move(ring);
    }
  }
  return !back;
}

const std::string& ReplayWorld::vip_name(uint32_t slot) const {
  return load_->live().slots().name(slot);
}

const std::string& ReplayWorld::pool_name(uint32_t slot) const {
  static const std::string kNone;
  const auto pool = pool_of_.find(slot);
  return pool == pool_of_.end() ? kNone : pool->second;
}

VipPolicy ReplayWorld::policy(uint32_t slot) const {
  const auto policy = policies_.find(slot);
  return policy == policies_.end() ? VipPolicy{} : policy->second;
}

const KeyRing& ReplayWorld::ring(uint32_t slot) const {
  static const KeyRing kNone;
  const auto pool = pool_of_.find(slot);
  return pool == pool_of_.end() ? kNone : rings_.at(pool->second);
}

}  // namespace tfo
