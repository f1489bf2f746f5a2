#pragma once

#include <chrono>
#include <stop_token>

namespace k3saga {

// How long a call may take, and who may end it sooner.
struct Patience {
  std::chrono::milliseconds timeout{0};
  std::stop_token stop;
};

// Waiting at the edge, so that tests wait in no time. Implementations are thread-safe.
class Pauser {
 public:
  virtual ~Pauser() = default;
  // Waits for `duration`; false when `stop` was asked for before it was over.
  virtual bool Pause(std::chrono::milliseconds duration, const std::stop_token& stop) = 0;
};

class SystemPauser final : public Pauser {
 public:
  bool Pause(std::chrono::milliseconds duration, const std::stop_token& stop) override;
};

}  // namespace k3saga
