#include <algorithm>

#include "coordinator/core/chain.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

// Every server's agent acknowledges us; a worker's has been asked once (it may be late, but not when it is
// its turn).
void Preflight(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopReason(state); stop.code() != 0) return LeaveEarly(moves, stop);
  const bool asked = std::all_of(state.nodes.begin(), state.nodes.end(), [](const NodeState& node) {
    return node.claimed || (!node.server && node.open_claim == 0 && node.attempts[Verb::kClaim] != 0);
  });
  if (asked && !state.paused) moves.Enter(StepAfter(state, v1::STEP_PREFLIGHT));
}

}  // namespace k3saga::core
