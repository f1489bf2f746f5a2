#pragma once

#include <chrono>
#include <thread>

namespace k3saga::testing {

// Waits until `condition` holds; false when it does not within `limit`. For the real world only (processes,
// sockets).
template <typename Condition>
bool Eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace k3saga::testing
