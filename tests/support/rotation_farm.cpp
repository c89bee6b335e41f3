// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/rotation_farm.h"

#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tfo::test {

namespace fs = std::filesystem;
using rotation::Document;
using rotation::State;

namespace {

constexpr const char* kFarm = "edge";
constexpr const char* kPool = "web";

fs::path make_directory() {
  std::string name = (fs::temp_directory_path() / "tfo_rotation_XXXXXX").string();
  return mkdtemp(name.data());
}

bool write_private(const fs::path& path, std::string_view text) {
  std::ofstream(path) << text;
  return chmod(path.c_str(), 0600) == 0;
}

}  // namespace

void RotationNode::apply() {
  for (const StoreTrouble& trouble : agent->troubles()) {
    if (!trouble.evidence.empty()) told.insert(trouble.id);
  }
  const auto& known = agent->document();
  if (!known) return;
  if (counters.empty() || counters.back() != known->counter) {
    counters.push_back(known->counter);
    states.push_back(known->state);
  }
  if (!applies) return;
  rotation::Applied applied;
  applied.counter = known->counter;
  applied.hash = rotation::hash_of(*known);
  applied.partial = partial;
  applied.renews = settings.balancer;
  if (settings.server) applied.listeners = listeners;
  agent->confirm(applied);
}

std::string RotationNode::trouble(const std::string& id) const {
  for (const StoreTrouble& trouble : agent->troubles()) {
    if (trouble.id == id) return trouble.evidence;
  }
  return "there is no such trouble";
}

std::string RotationNode::asked(const std::string& id) const {
  const auto status = agent->status();
  for (const auto& one : status["asked"]) {
    if (one["id"] == id) return one["state"].get<std::string>();
  }
  return "unknown";
}

RotationFarm::RotationFarm(EtcdCluster& cluster)
    : directory(make_directory()),
      cluster_(cluster),
      session_(std::make_unique<EtcdSession>(cluster.config())),
      sealer_(kFarm, kPool) {
  policy.interval = 0;
  policy.deadline = 5;
  auto loop = EventLoop::create();
  if (loop) loop_ = std::move(*loop);
  const Secret line = rotation::FarmKey::new_line(1);
  write_private(directory / "farm.key", line.view());
  auto key = rotation::FarmKey::load(directory / "farm.key");
  if (key) {
    farm_key_ = std::move(*key);
  } else {
    error_ = key.error().message;
  }
}

RotationFarm::~RotationFarm() {
  nodes_.clear();
  std::error_code ignored;
  fs::remove_all(directory, ignored);
}

std::string RotationFarm::key(const std::string& name) const {
  return rotation::pool_prefix(kFarm, kPool) + name;
}

std::string RotationFarm::seal(const std::string& name, const rotation::Counter& counter,
                               std::string_view text) {
  return sealer_.seal(farm_key_, farm_key_.newest(), name, counter, text);
}

std::string RotationFarm::init() {
  if (!error_.empty()) return error_;
  const rotation::Machine machine(policy, "init");
  const auto first = machine.first(kFarm, kPool, SystemClock().now().unix_s, 1, {});
  if (!first) return first.error().message;
  return write("ring", seal("ring", first->counter, rotation::encode(*first))) ? "" : "no etcd";
}

std::string RotationFarm::raw(const std::string& name) {
  const auto read = session_->read(key(name));
  return read && !read->kvs.empty() ? read->kvs.front().value : "";
}

bool RotationFarm::write(const std::string& name, const std::string& value) {
  return session_->put(key(name), value).has_value();
}

std::optional<Document> RotationFarm::document() {
  const auto opened = sealer_.open(farm_key_, 0, "ring", raw("ring"));
  if (!opened) return std::nullopt;
  auto document = rotation::decode_document(opened->text);
  return document ? std::optional(*document) : std::nullopt;
}

bool RotationFarm::make(RotationNode& node) {
  EventLoop& loop = node.own_loop ? *node.own_loop : *loop_;
  auto agent = rotation::Agent::create(loop, node.settings, *node.clock, [&node] { node.apply(); });
  if (!agent) {
    error_ = agent.error().message;
    return false;
  }
  node.agent = std::move(*agent);
  node.agent->start();
  return true;
}

rotation::Settings RotationFarm::settings(const std::string& name, Roles roles) const {
  rotation::Settings settings;
  settings.etcd = cluster_.config(nodes_.size());
  if (roles.only_member) settings.etcd.endpoints = {cluster_.endpoint(*roles.only_member)};
  settings.etcd.timeouts.read = std::chrono::milliseconds(700);
  settings.etcd.timeouts.write = std::chrono::milliseconds(1000);
  if (timeouts) settings.etcd.timeouts = *timeouts;
  settings.farm = kFarm;
  settings.pool = kPool;
  settings.node = name;
  settings.balancer = roles.balancer;
  settings.server = !roles.balancer;
  settings.policy = policy;
  settings.farm_key_file = directory / "farm.key";
  settings.state_file = directory / name / "web.rotation";
  settings.lease = lease;
  settings.between_listeners = std::chrono::milliseconds(300);
  return settings;
}

RotationNode* RotationFarm::add(const std::string& name, Roles roles) {
  auto node = std::make_unique<RotationNode>();
  node->name = name;
  node->clock = std::make_unique<ShiftedClock>();
  node->settings = settings(name, roles);
  if (roles.own_loop) {
    auto loop = EventLoop::create();
    if (loop) node->own_loop = std::move(*loop);
  }
  if (!make(*node)) return nullptr;
  return (nodes_[name] = std::move(node)).get();
}

RotationNode* RotationFarm::add_with(const std::string& called, rotation::Settings settings) {
  auto node = std::make_unique<RotationNode>();
  node->name = called;
  node->clock = std::make_unique<ShiftedClock>();
  node->settings = std::move(settings);
  if (!make(*node)) return nullptr;
  return (nodes_[called] = std::move(node)).get();
}

bool RotationFarm::restart(RotationNode& node) {
  node.agent.reset();
  return make(node);
}

bool RotationFarm::until(const std::function<bool()>& condition, double seconds) {
  constexpr uint64_t kStep = 5'000;  // us
  constexpr int kEvents = 100;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    sd_event_run(loop_->handle(), kStep);
    // A condition costs more than an event.
    for (int i = 0; i < kEvents && sd_event_run(loop_->handle(), 0) > 0; i++) {
    }
    for (const auto& [name, node] : nodes_) {
      if (!node->own_loop || node->frozen) continue;
      while (sd_event_run(node->own_loop->handle(), 0) > 0) {
      }
    }
  }
  return true;
}

bool RotationFarm::settled(State state, double seconds) {
  const auto holds = [&](const RotationNode& node, const rotation::Counter& counter) {
    const auto& known = node.agent->document();
    return known && known->state == state && known->counter == counter && node.agent->may_open() &&
           !node.counters.empty() && node.counters.back() == counter;
  };
  const auto is_settled = [&] {
    const RotationNode* leading = leader(0);
    if (leading == nullptr || !leading->agent->document()) return false;
    const auto status = leading->agent->status();
    size_t running = 0;
    for (const auto& [name, node] : nodes_) {
      if (node->frozen) continue;
      running++;
      if (!holds(*node, leading->document().counter)) return false;
    }
    return status["waits_for"].empty() && status["members"].size() >= running;
  };
  return until(is_settled, seconds);
}

RotationNode* RotationFarm::leader(double seconds) {
  RotationNode* found = nullptr;
  const auto find = [&] {
    for (const auto& [name, node] : nodes_) {
      if (!node->frozen && node->agent->status()["leading"] == true) found = node.get();
    }
    return found != nullptr;
  };
  until(find, seconds);
  return found;
}

std::string RotationFarm::rotate(RotationNode& at, double seconds) {
  rotation::Request request;
  request.kind = rotation::Request::Kind::kRotate;
  const auto id = at.agent->ask(request);
  if (!id) return id.error().message;
  if (!until([&] { return at.asked(*id) != "pending"; }, seconds)) return "pending\n" + text();
  if (at.asked(*id) != "served") return at.agent->status()["asked"].dump();
  return settled(State::kSteady, seconds) ? "" : "not settled\n" + text();
}

std::string RotationFarm::text() const {
  std::ostringstream text;
  for (const auto& [name, node] : nodes_) {
    auto status = node->agent->status();
    status.erase("generations");
    status.erase("events");
    text << name << (node->agent->may_open() ? " open " : " shut ") << status.dump() << '\n';
    for (const StoreTrouble& trouble : node->agent->troubles()) {
      if (!trouble.evidence.empty()) text << "  " << trouble.id << ": " << trouble.evidence << '\n';
    }
  }
  return text.str();
}

}  // namespace tfo::test
