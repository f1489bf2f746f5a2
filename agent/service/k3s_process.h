#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <thread>

#include "agent/operations/effects.h"
#include "agent/service/node_parts.h"

namespace k3saga::service {

// k3s's main process on this node: replaced, stopped and started, each until it is so or the context ends it
// (TIMED_OUT). Idempotent.
class K3sProcess {
 public:
  static constexpr char kNone[] = "0:0";  // it does not run

  explicit K3sProcess(NodeParts* parts) : parts_(*parts) {}

  // "pid:start ticks": another one whenever it was started anew.
  absl::StatusOr<std::string> Main();
  // Whether the main process is another one than `before` and came from `binary` (or is of its version).
  absl::StatusOr<bool> Replaced(const std::string& binary, const std::string& before);

  // Restarts the unit until that is so. What the old process led of the cluster's control loops
  // (kube/leadership.h) is given back beside what follows: as soon as the new process can take it, so that
  // the loops come back where they were and now run from the new binary; if that takes longer than 8 s, to
  // whoever is there. Where it cannot be given back it runs out by itself.
  absl::Status Replace(const std::string& unit, const std::string& binary, const std::string& before,
                       operations::EffectContext& context);
  // Until no process of the unit is left, and systemd is not about to start one.
  absl::Status Stop(const std::string& unit, operations::EffectContext& context);
  // Queues a start where it does not run; health is the caller's to wait for.
  absl::Status Start(const std::string& unit);

 private:
  kube::Leadership Leads();
  void GiveBackInTime(kube::Leadership leadership);
  void GiveBack(const kube::Leadership& leadership);
  absl::Status TimedOut(const std::string& unit, const char* what) const;

  NodeParts& parts_;
  std::jthread giving_back_;  // bounded; asked to stop it gives back at once
};

}  // namespace k3saga::service
