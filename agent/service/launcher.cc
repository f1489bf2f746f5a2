#include "agent/service/launcher.h"

#include <absl/strings/str_cat.h>

#include <cctype>
#include <cstdlib>
#include <utility>

#include "agent/operations/process_lock.h"

namespace k3saga::service {

std::string OperationUnit(const v1::OperationId& id) {
  std::string rollout = id.rollout();
  for (char& c : rollout) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.') c = '_';
  }
  return absl::StrCat("k3saga-operation-", rollout, "-", id.sequence(), "-", id.attempt());
}

absl::Status SystemdLauncher::Launch(const v1::OperationId& id, bool first) {
  node::TransientUnit unit;
  unit.name = OperationUnit(id);
  // Low on memory, k3s's upgrade is the last that should die half-way.
  // The slice is the agent's too: one place to see what k3saga runs and uses on a node.
  unit.properties = {"OOMScoreAdjust=-900", "Slice=k3saga.slice"};
  const char* crash_at = std::getenv("K3SAGA_CRASH_AT");
  if (first && crash_at != nullptr)
    unit.properties.push_back(absl::StrCat("Environment=K3SAGA_CRASH_AT=", crash_at));
  unit.argv = {parts_.program,
               "operation",
               "--config",
               parts_.config,
               id.rollout(),
               absl::StrCat(id.sequence()),
               absl::StrCat(id.attempt())};
  absl::Status status = parts_.systemd->RunTransient(unit);
  if (absl::IsAlreadyExists(status)) return absl::OkStatus();
  return status;
}

absl::StatusOr<bool> SystemdLauncher::Running() { return operations::ProcessLock::IsHeld(parts_.lock_path); }

}  // namespace k3saga::service
