#pragma once

#include <cstdint>

#include "common/host/event_loop.h"

namespace k3saga::cli {

// Signals while a rollout runs. The first one stops the loop and is kept for its owner: Ctrl-C is a person
// who pauses; SIGTERM and SIGHUP (a shutdown, a service that is stopped, a terminal that is gone) ask the
// process to leave, and nobody meant the rollout. The second leaves the process at once with
// ExitCode::kPaused, which is safe at any moment: whatever matters is durable. One object at a time; the old
// handlers come back when it ends.
class Interrupts {
 public:
  explicit Interrupts(EventLoop& loop);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  enum class Asked : uint8_t { kNothing, kPause, kLeave };
  // What the first signal asks for, once.
  Asked Take();

 private:
  bool taken_ = false;
};

}  // namespace k3saga::cli
