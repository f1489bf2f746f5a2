#pragma once

#include <chrono>
#include <cstdint>

namespace k3saga {

// Time at the edge. Deadlines and waits use Steady (boot clock: it goes on while the machine sleeps); Wall is
// for people. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::milliseconds Steady() const = 0;
  virtual int64_t WallUnixMillis() const = 0;
};

// CLOCK_BOOTTIME and CLOCK_REALTIME.
class SystemClock final : public Clock {
 public:
  std::chrono::milliseconds Steady() const override;
  int64_t WallUnixMillis() const override;
};

}  // namespace k3saga
