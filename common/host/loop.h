#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace k3saga {

// One thread that owns what it runs: work is posted to it, timers fire on it. Everything that belongs to a
// loop is touched on its thread only, and so needs no locks. Post is thread-safe; the rest is for that
// thread.
class Loop {
 public:
  using Work = std::function<void()>;
  using TimerId = uint64_t;  // never 0, never used twice

  virtual ~Loop() = default;

  // Runs `work` later on the loop's thread, in the order of posting; never from inside this call. After the
  // loop has stopped, work is kept until it runs again, or dropped unrun with the loop.
  virtual void Post(Work work) = 0;

  // Runs `work` once, `delay` from now on the boot clock (a machine's sleep counts).
  virtual TimerId After(std::chrono::milliseconds delay, Work work) = 0;
  // No effect on a timer that has fired. A timer cancelled on the loop's thread never fires.
  virtual void CancelTimer(TimerId timer) = 0;
};

}  // namespace k3saga
