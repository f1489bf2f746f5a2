#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>

#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::testing {

// Time that passes only when somebody waits. Thread-safe.
class FakeTime final : public Clock, public Pauser {
 public:
  std::chrono::milliseconds Steady() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  int64_t WallUnixMillis() const override { return kStartUnixMillis + Steady().count(); }

  bool Pause(std::chrono::milliseconds duration, const std::stop_token& stop) override {
    Advance(duration);
    if (on_pause) {
      on_pause();
    }
    return !stop.stop_requested();
  }
  void Advance(std::chrono::milliseconds duration) {
    const std::lock_guard lock(mutex_);
    now_ += duration;
  }

  static constexpr int64_t kStartUnixMillis = 1'700'000'000'000;
  std::function<void()> on_pause;  // what the world does meanwhile; set before others use it

 private:
  mutable std::mutex mutex_;
  std::chrono::milliseconds now_{0};
};

}  // namespace k3saga::testing
