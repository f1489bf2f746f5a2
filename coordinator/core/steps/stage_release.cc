#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"

namespace k3saga::core {
namespace {

v1::Reason FirstFailedWorker(const State& state) {
  for (const NodeState& node : state.nodes) {
    if (!node.server && node.failed) return node.reason;
  }
  return {};
}

}  // namespace

// Every node fetches and verifies the release, in parallel; whoever cannot stops the rollout while nothing is
// touched (or, with on_failure: skip, is left out).
void StageRelease(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  v1::Reason stop = StopReason(state);
  const bool worker_stops = state.policies().workers().on_failure() == v1::ON_FAILURE_STOP;
  if (stop.code() == 0 && worker_stops) stop = FirstFailedWorker(state);
  if (stop.code() != 0) {
    if (state.open_operations.empty()) LeaveEarly(moves, stop);
    return;
  }
  bool all = true;
  for (const NodeState& node : state.nodes) {
    if (node.moved() || node.staged || node.begun || node.finished()) continue;
    all = false;
    if (Rests(moves, node)) continue;
    if (node.failed) {
      FailWorker(moves, node);
    } else if (node.claimed && !state.paused) {
      AskStage(moves, node);
    }
  }
  if (all && !state.paused) moves.Enter(v1::STEP_BACKUP);
}

}  // namespace k3saga::core
