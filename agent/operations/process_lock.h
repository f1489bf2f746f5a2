#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <string>

#include "common/host/unique_fd.h"

namespace k3saga::operations {

// Held by the process that runs a node-changing operation, as long as it lives: no two of them work on one
// node at once, and the service sees whether there is one. The kernel gives it back when the process dies.
class ProcessLock {
 public:
  // kUnavailable when another process held it all along.
  static absl::StatusOr<ProcessLock> Acquire(const std::string& path, std::chrono::milliseconds patience);
  static absl::StatusOr<bool> IsHeld(const std::string& path);

 private:
  explicit ProcessLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace k3saga::operations
