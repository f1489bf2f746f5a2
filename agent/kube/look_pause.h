#pragma once

#include <algorithm>
#include <chrono>

namespace k3saga::kube {

// How long to wait before the API is looked at again: short at first, since most waits are, then twice as
// long each time.
class LookPause {
 public:
  LookPause(std::chrono::milliseconds first, std::chrono::milliseconds longest)
      : next_(first), longest_(longest) {}

  std::chrono::milliseconds Next() {
    const std::chrono::milliseconds pause = next_;
    next_ = std::min(next_ * 2, longest_);
    return pause;
  }

 private:
  std::chrono::milliseconds next_;
  std::chrono::milliseconds longest_;
};

}  // namespace k3saga::kube
