#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

#include "agent/operations/effects.h"
#include "agent/operations/journal.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::operations {

// What the process of one node-changing operation does: takes the operation lock, drives the operation to its
// end, reports progress into the journal and looks there for a cancellation.
struct OperationProcess {
  Journal* journal = nullptr;
  Effects* effects = nullptr;
  const Clock* clock = nullptr;
  Pauser* pauser = nullptr;
  std::string boot_id;
  std::string lock_path;
  std::chrono::milliseconds lock_patience{10'000};
  std::chrono::milliseconds look_every{200};

  // OK: settled, or it was already. kUnavailable: another operation's process is at work. kAborted: `stop`.
  absl::Status Run(const v1::OperationId& id, const std::stop_token& stop);
};

}  // namespace k3saga::operations
