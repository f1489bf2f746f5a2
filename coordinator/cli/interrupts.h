#pragma once

#include "common/host/event_loop.h"

namespace k3saga::cli {

// Ctrl-C (and SIGTERM, SIGHUP) while a rollout runs: the first one stops the loop and is counted, so that its
// owner can pause the rollout; the second leaves the process at once with ExitCode::kPaused, which is safe at
// any moment: whatever matters is durable. One object at a time; the old handlers come back when it ends.
class Interrupts {
 public:
  explicit Interrupts(EventLoop& loop);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // True once for the first signal.
  bool TakePending();

 private:
  bool taken_ = false;
};

}  // namespace k3saga::cli
