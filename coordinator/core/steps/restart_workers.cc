#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/restoring.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// Says how it ended for a node that is through; true while there is something left to do.
bool Finishes(Moves& moves, const NodeState& node) {
  const bool through = node.restored || node.failed || (!node.server && ClaimGivenUp(node));
  if (!through) return true;
  const v1::NodeFinished::Result result = node.restored ? GoalResult(moves.state) : v1::NodeFinished::FAILED;
  if (node.result != result) moves.Finish(node, result, node.restored ? v1::Reason() : node.reason);
  return false;
}

// By plan or, as compensation, the one this rollout took.
const std::string& VeleroBackupOf(const State& state) {
  return IsWayBack(state.plan()) ? state.plan().velero_backup() : state.velero_backup;
}

}  // namespace

// Revisions went back: whatever watches the API has to begin anew, so that k3s is restarted on every worker.
// What Velero has of the namespaces comes last, when there are nodes to run it.
void RestartWorkers(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  bool left = false;
  for (const NodeState& node : state.nodes) {
    if (node.open_operation != 0 || node.open_timer != 0) {
      left = true;
      continue;
    }
    if (!Finishes(moves, node)) continue;
    left = true;
    if (!node.claimed || Rests(moves, node)) continue;
    AskRestart(moves, node);
  }
  if (left || !moves.empty()) return;
  const NodeState* restored = RestoreSourceOf(state).server;
  if (!VeleroBackupOf(state).empty() && !state.velero_restored && restored != nullptr) {
    if (!Rests(moves, *restored)) AskVeleroRestore(moves, *restored, VeleroBackupOf(state));
    return;
  }
  moves.Enter(StepAfter(state, v1::STEP_RESTART_WORKERS));
}

}  // namespace k3saga::core
