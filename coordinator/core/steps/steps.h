#pragma once

#include "coordinator/core/moves.h"

// What comes next within each step; one file a step.
namespace k3saga::core {

void Preflight(Moves& moves);
void StageRelease(Moves& moves);
void BackUp(Moves& moves);
void UpgradeServers(Moves& moves);
void UpgradeWorkers(Moves& moves);
void Verify(Moves& moves);
void RestoreFromBackup(Moves& moves);
void PutBackWorkers(Moves& moves);
void PutBackServers(Moves& moves);
void StopServers(Moves& moves);
void RestoreDatastore(Moves& moves);
void RejoinServers(Moves& moves);
void RestartWorkers(Moves& moves);
void CleanUp(Moves& moves);

}  // namespace k3saga::core
