// SPDX-License-Identifier: BSD-2-Clause
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "tools/client.h"
#include "tools/commands.h"
#include "tools/terminal.h"
#include "tools/top_frame.h"

namespace tfo {

using nlohmann::json;

namespace {

using Steady = std::chrono::steady_clock;

/// Asks tfod in a thread of its own: one that does not answer keeps nobody from pressing q.
class Asker {
 public:
  explicit Asker(const Context& context) : shared_(std::make_shared<Shared>()) {
    shared_->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // What the thread uses outlives this, and standard streams are not used by a call.
    std::thread([shared = shared_, copy = Context(context)] { run(*shared, copy); }).detach();
  }
  ~Asker() {
    const std::lock_guard lock(shared_->mutex);
    shared_->ended = true;
    shared_->wake.notify_all();
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  void ask() {
    const std::lock_guard lock(shared_->mutex);
    shared_->wanted = true;
    shared_->wake.notify_all();
  }

  /// Readable when there is an answer.
  int fd() const { return shared_->ready; }
  std::optional<Result<json>> take() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(shared_->ready, &count, sizeof(count));
    const std::lock_guard lock(shared_->mutex);
    return std::exchange(shared_->answer, std::nullopt);
  }

 private:
  struct Shared {
    ~Shared() { close(ready); }
    std::mutex mutex;
    std::condition_variable wake;
    bool wanted = false, ended = false;
    std::optional<Result<json>> answer;
    int ready = -1;
  };

  static void run(Shared& shared, const Context& context) {
    std::unique_lock lock(shared.mutex);
    while (true) {
      shared.wake.wait(lock, [&] { return shared.wanted || shared.ended; });
      if (shared.ended) return;
      shared.wanted = false;
      lock.unlock();
      Result<json> answer = call(context, "overview");
      lock.lock();
      shared.answer = std::move(answer);
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t done = write(shared.ready, &one, sizeof(one));
    }
  }

  std::shared_ptr<Shared> shared_;
};

/// What is on the screen, and what it is made of.
class Top {
 public:
  Top(const Context& context, const TopArgs& args, json first)
      : asker_(context),
        step_(std::chrono::duration_cast<Steady::duration>(
            std::chrono::duration<double>(args.interval))),
        now_(std::move(first)) {}

  /// Until somebody wants it to end, or the terminal is gone.
  void run() {
    constexpr std::chrono::seconds kPatience{3};
    Steady::time_point next = Steady::now() + step_;
    while (draw()) {
      if (Steady::now() - heard_ > step_ + kPatience && state_.trouble.empty()) {
        state_.trouble = "tfod was asked and is waited for";
      }
      if (Steady::now() >= next) {
        asker_.ask();
        next = Steady::now() + step_;
      }
      if (!wait(next)) return;
    }
  }

 private:
  bool draw() { return terminal_.draw(top_frame(now_, before_, state_, Terminal::size())); }

  /// False: it is to end.
  bool wait(Steady::time_point until) {
    std::array<pollfd, 3> items = {{{terminal_.signals(), POLLIN, 0},
                                    {Terminal::keys(), POLLIN, 0},
                                    {asker_.fd(), POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now()).count();
    poll(items.data(), items.size(), static_cast<int>(std::clamp<long>(left, 0, 3'600'000)));
    if (items[0].revents != 0 && terminal_.take_signal() == Terminal::Event::kStop) return false;
    if (items[2].revents != 0) take_answer();
    if (items[1].revents == 0) return true;
    const auto keys = terminal_.take_keys();
    return keys && std::ranges::all_of(
                       *keys, [&](const std::string& key) { return state_.press(key, now_); });
  }

  void take_answer() {
    auto answer = asker_.take();
    if (!answer) return;
    heard_ = Steady::now();
    if (!*answer) {
      state_.trouble = answer->error().message;
      return;
    }
    state_.trouble.clear();
    // Rates are of two readings of the counters.
    if (state_.paused || (**answer)["taken_ns"] == now_["taken_ns"]) return;
    before_ = std::exchange(now_, std::move(**answer));
  }

  Terminal terminal_;  // first: threads are to inherit that signals are blocked
  Asker asker_;
  Steady::duration step_;
  Steady::time_point heard_ = Steady::now();
  json now_, before_;
  TopState state_;
};

/// Columns of a text that nobody looks at yet.
size_t columns_given() {
  constexpr size_t kUsual = 132;
  const char* text = std::getenv("COLUMNS");
  const long given = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return given >= 20 && given <= 1000 ? static_cast<size_t>(given) : kUsual;
}

int once(Context& context, const TopArgs& args, const json& first) {
  std::this_thread::sleep_for(std::chrono::duration<double>(args.interval));
  auto second = call(context, "overview");
  if (!second) return report(context, second.error());
  const TopSize size{.columns = columns_given(), .rows = 0};
  TopState state;
  for (state.table = 0; state.table < kTopTables; ++state.table) {
    std::vector<Line> lines = top_frame(*second, first, state, size);
    // The summary once, then each table.
    if (state.table > 0) {
      const auto blank = std::ranges::find_if(lines, [](const Line& line) { return line.empty(); });
      lines.erase(lines.begin(), blank);
    }
    const auto tabs = std::ranges::find_if(lines, [](const Line& line) { return line.empty(); });
    if (tabs != lines.end() && tabs + 1 != lines.end()) lines.erase(tabs + 1);
    for (const Line& line : lines) context.out << text_of_line(line, false) << '\n';
  }
  return kExitOk;
}

}  // namespace

int top_run(Context& context, const TopArgs& args) {
  if (!args.once && !context.json) {
    if (auto usable = Terminal::usable(); !usable) return report(context, usable.error());
  }
  auto first = call(context, "overview");
  if (!first) return report(context, first.error());
  if (context.json) {
    print_json(context, *first);
    return kExitOk;
  }
  if (args.once) return once(context, args, *first);
  Top(context, args, std::move(*first)).run();
  return kExitOk;
}

}  // namespace tfo
