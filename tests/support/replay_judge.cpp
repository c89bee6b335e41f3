// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/replay_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tests/support/capture_read.h"
#include "tests/support/cases.h"

namespace tfo::test {
namespace {

constexpr size_t kEthernet = 14;
constexpr uint64_t kSecond = 1'000'000'000;

/// Whole seconds that lie on the same side of kReplayStamp; 0 would mean for ever.
int64_t not_after(uint64_t ns) {
  if (ns == UINT64_MAX) return 0;
  const uint64_t seconds = ns >= kReplayStamp ? (ns + kSecond - 1) / kSecond : ns / kSecond;
  return static_cast<int64_t>(std::max<uint64_t>(seconds, 1));
}

KeyRing ring_of(const std::vector<WorldKey>& keys) {
  KeyRing ring;
  for (const WorldKey& key : keys) {
    Generation generation;
    generation.id = ring.generations.size() + 1;
    generation.key = Key::parse(key.text).value();
    generation.place = key.place;
    generation.not_after = not_after(key.not_after_ns);
    ring.generations.push_back(generation);
  }
  return ring;
}

ConfigAddress mapped(const Address& address) {
  ConfigAddress bytes{};
  const View from = address.wire();
  if (from.size() == 4) bytes[10] = bytes[11] = 0xff;
  std::ranges::copy(from, bytes.end() - static_cast<std::ptrdiff_t>(from.size()));
  return bytes;
}

class Collect : public ReplaySink {
 public:
  explicit Collect(std::vector<Replayed>& frames, const ReplayWorld& world)
      : frames_(&frames), world_(&world) {}
  Result<> take(const ReplayedFrame& frame) override {
    if (frame.skipped) {
      frames_->emplace_back(*frame.skipped);
      return {};
    }
    const Judgement& judged = frame.judgement;
    const std::string& vip = world_->vip_name(judged.slot);
    const auto slot = static_cast<uint32_t>(vip.empty() ? 0 : std::atoi(vip.c_str()));
    frames_->emplace_back(Verdict{judged.reason, judged.option, judged.data, slot});
    return {};
  }

 private:
  std::vector<Replayed>* frames_;
  const ReplayWorld* world_;
};

}  // namespace

Result<ReplayWorld> replay_world(const World& world, uint8_t decap) {
  std::map<std::string, KeyRing> rings;
  for (const auto& [pool, keys] : world.pools) rings[std::to_string(pool)] = ring_of(keys);
  std::map<uint16_t, VipConfig> by_slot;
  std::vector<VipConfig> vips;
  for (const WorldVip& vip : world.vips) {
    // One VipConfig for each row: a name is a counter slot, and so are rows of the same slot.
    VipConfig& config = by_slot[vip.slot];
    config.name = std::to_string(vip.slot);
    config.pool = std::to_string(vip.pool);
    if (std::ranges::count(config.addresses, mapped(vip.address)) == 0) {
      config.addresses.push_back(mapped(vip.address));
    }
    if (vip.port != 0 && std::ranges::count(config.ports, vip.port) == 0) {
      config.ports.push_back(vip.port);
    }
  }
  vips.reserve(by_slot.size());
  for (const auto& [slot, config] : by_slot) vips.push_back(config);
  InterfaceConfig interface;
  interface.decap = decap;
  interface.gue_port = world.gue_port;
  return ReplayWorld::make(vips, std::move(rings), {interface});
}

Bytes relinked(View ethernet, uint32_t link_type) {
  if (link_type == kLinkEthernet) return {ethernet.begin(), ethernet.end()};
  const View type = ethernet.subspan(kEthernet - 2, 2);
  FileBytes head(std::endian::big);
  switch (link_type) {
    case kLinkCooked:
      head.u16(0).u16(1).u16(6).u64(0x0200000000010000).raw(type);
      break;
    case kLinkCooked2:
      head.raw(type).u16(0).u32(7).u16(1).u16(6).u64(0x0200000000010000);
      break;
    default:  // raw
      break;
  }
  return head.raw(ethernet.subspan(kEthernet)).bytes();
}

std::string to_string(const Replayed& replayed) {
  if (const auto* skip = std::get_if<Skip>(&replayed)) {
    return fmt::format("skipped {}", skip_label(*skip));
  }
  return to_string(comparable(std::get<Verdict>(replayed)));
}

ReplayRun replay_file(View file, ReplayWorld& world, ReplayOptions options) {
  ReplayRun run;
  auto reader = CaptureReader::adopt(memory_file(file), "memory");
  if (!reader) {
    run.error = reader.error().message;
    return run;
  }
  Replay replay(*reader, world, std::move(options));
  Collect collect(run.frames, world);
  replay.add(collect);
  auto done = replay.run([](const ReplayTotals&) { return true; });
  if (!done) run.error = done.error().message;
  run.totals = replay.totals();
  return run;
}

Bytes capture_of(const std::vector<Bytes>& frames, uint32_t link_type,
                 const std::vector<uint32_t>& wire) {
  PcapngBuilder builder;
  builder.section(std::endian::little);
  builder.interface({.link_type = static_cast<uint16_t>(link_type), .resolution = uint8_t{9}});
  for (size_t i = 0; i < frames.size(); i++) {
    builder.packet({.stamp = kReplayStamp, .bytes = frames[i], .wire = wire.empty() ? 0 : wire[i]});
  }
  return builder.build().file;
}

std::vector<Bytes> replay_sorts(uint32_t link_type) {
  const Side& side = kSides[0];
  std::vector<Bytes> frames;
  const auto add = [&](const Packet& packet) {
    frames.push_back(relinked(packet.frame(), link_type));
  };
  const auto cookie = [&](const char* client, const char* key, size_t data) {
    Packet syn = Packet::syn(client, side.web);
    syn.option(fast_open(cookie_of(key, syn))).data(data);
    add(syn);
  };
  add(Packet::syn("10.88.1.1", side.web));
  add(Packet::syn("10.88.1.1", side.web).option(fast_open()));
  cookie("10.88.1.2", kCurrentKey, 20);
  cookie("10.88.1.2", kPreviousKey, 20);
  for (int i = 0; i < 3; i++) cookie("10.88.1.3", kStrangerKey, 20);
  cookie("10.88.1.4", kStrangerKey, 0);
  add(Packet::syn("10.88.1.5", side.stranger).data(5));
  add(Packet::syn("10.88.1.6", side.web).flags(kAck));
  return frames;
}

}  // namespace tfo::test
