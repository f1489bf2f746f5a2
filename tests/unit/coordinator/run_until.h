#pragma once

#include <chrono>
#include <functional>

#include "common/host/event_loop.h"

namespace k3saga {

// Runs the loop on this thread until `condition` holds (looked at after every piece of work), at most for
// `patience`. Whether it held.
inline bool RunUntil(EventLoop& loop, const std::function<bool()>& condition,
                     std::chrono::milliseconds patience = std::chrono::seconds(60)) {
  bool late = false;
  const Loop::TimerId limit = loop.After(patience, [&] {
    late = true;
    loop.Stop();
  });
  // Whatever may change the condition runs on the loop, so looking every few milliseconds there is enough.
  std::function<void()> look = [&] {
    if (condition()) {
      loop.Stop();
    } else {
      loop.After(std::chrono::milliseconds(2), look);
    }
  };
  loop.Post(look);
  loop.Run();
  loop.CancelTimer(limit);
  return !late;
}

}  // namespace k3saga
