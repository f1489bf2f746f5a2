#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/pick.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"

namespace k3saga::core {
namespace {

constexpr uint32_t kAttempts = 3;

}  // namespace

// Once, right before the first change, through a server that a fresh proof shows ready.
void BackUp(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (state.open_backup != 0) return;
  if (const v1::Reason stop = StopReason(state); stop.code() != 0) return LeaveEarly(moves, stop);
  if (state.paused) return;
  if (!state.policies().backup().enabled() || !state.backups.empty()) {
    const bool by_velero = state.policies().backup().velero_namespaces_size() != 0;
    if (!by_velero || !state.velero_backup.empty()) return moves.Enter(v1::STEP_UPGRADE_SERVERS);
    const NodeState& about = state.nodes.front();
    if (state.tally.servers_claimed == state.servers() && !Rests(moves, about)) AskVeleroBackup(moves, about);
    return;
  }
  if (state.backup_attempts >= kAttempts) return moves.Enter(v1::STEP_CLEAN_UP, state.backup_failure);
  if (state.tally.servers_claimed < state.servers()) return;
  if (!state.proof_fresh()) return moves.Probe("", false);
  const bool failed = state.backup_attempts > 0 && state.held_ms == 0;
  if (failed) return moves.HoldAndLookAgain("", {state.backup_failure});
  AskBackup(moves, PickServer(state, state.nodes.front()));
}

}  // namespace k3saga::core
