// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/flood.h"

#include <utility>

#include "tests/support/frame_sender.h"

namespace tfo::test {

using std::chrono::steady_clock;

Flood::Flood(const NetNs& from, const std::string& interface, std::vector<Bytes> frames,
             uint64_t rate)
    : frames_(std::move(frames)), start_(steady_clock::now()) {
  thread_ = std::thread([this, &from, interface, rate] {
    const NetNs::Inside inside(from);
    FrameSender sender(interface);
    while (!stop_) {
      const auto due = static_cast<uint64_t>(seconds() * static_cast<double>(rate));
      if (due > sent_) sent_ += sender.send(frames_, due - sent_);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
}

void Flood::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

double Flood::seconds() const {
  return std::chrono::duration<double>(steady_clock::now() - start_).count();
}

}  // namespace tfo::test
