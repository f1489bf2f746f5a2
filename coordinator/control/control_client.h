#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "k3saga/v1/control.pb.h"

namespace k3saga::control {

// The other end, for `pause`, `abort` and `status --watch`. Blocking calls, each with a deadline;
// kUnavailable when nobody listens there. One thread.
class ControlClient {
 public:
  explicit ControlClient(std::string_view socket_path);
  ~ControlClient();

  absl::StatusOr<v1::AboutReply> About(std::chrono::milliseconds timeout = std::chrono::seconds(5));

  // Returns once the command is durable in the rollout's journal.
  absl::StatusOr<v1::CommandReply> Command(v1::CommandReceived::Command command, std::string_view by,
                                           std::chrono::milliseconds timeout = std::chrono::seconds(10));

  // All events after the first `after_event`, then live ones and progress, until `heard` returns false (OK)
  // or the rollout's process leaves (kUnavailable).
  absl::Status Watch(uint64_t after_event, const std::function<bool(const v1::WatchReply&)>& heard);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k3saga::control
