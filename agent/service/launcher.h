#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/node/systemd.h"
#include "agent/operations/supervisor.h"

namespace k3saga::service {

// The unit an operation runs in: "k3saga-operation-20260131-142507-4f2a-17-1". Characters that a unit name
// cannot carry are replaced.
std::string OperationUnit(const v1::OperationId& id);

// Launches `PROGRAM operation --config CONFIG ROLLOUT SEQUENCE ATTEMPT` in a transient unit. A crash point
// that this process is armed with goes along on the first start, so that the crash matrix reaches both.
// `systemd` must outlive it.
class SystemdLauncher final : public operations::Launcher {
 public:
  struct Parts {
    node::Systemd* systemd = nullptr;
    std::string program;    // this program's own file
    std::string config;     // agent.yaml
    std::string lock_path;  // operations::ProcessLock
  };
  explicit SystemdLauncher(Parts parts) : parts_(std::move(parts)) {}

  absl::Status Launch(const v1::OperationId& id, bool first) override;
  absl::StatusOr<bool> Running() override;

 private:
  const Parts parts_;
};

}  // namespace k3saga::service
