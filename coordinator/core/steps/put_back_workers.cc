#include <algorithm>

#include "coordinator/core/chain.h"
#include "coordinator/core/restoring.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// Before the datastore comes back: all at once and without a drain. k3s leaves pods alone when it restarts,
// and what a drain would write is lost with the datastore.
void PutBackAll(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopsRestoring(state); stop.code() != 0) return LeaveRestoring(moves, stop);
  for (uint32_t i = state.servers(); i < state.nodes.size(); ++i) {
    const NodeState& worker = state.nodes[i];
    if (!WantsPutBack(state, worker) || state.paused || Rests(moves, worker)) continue;
    TakeBack(moves, worker);  // refused only while its agent has not acknowledged us: that is being asked for
  }
  // What failed is waited for too: its end may be one that the way back has to know.
  const bool busy = std::any_of(state.nodes.begin(), state.nodes.begin() + state.servers(),
                                [](const NodeState& server) { return server.open_operation != 0; });
  if (!moves.empty() || busy) return;
  const Verdict verdict = Judge(moves.rules, state, {state.nodes.front(), Act::kStop, Direction::kBack});
  if (verdict.empty()) return moves.Enter(StepAfter(state, v1::STEP_PUT_BACK_WORKERS));
  moves.Hold("", verdict);
}

}  // namespace

// Workers go back before the servers do: never newer than they.
void PutBackWorkers(Moves& moves) {
  if (moves.state.restores) return PutBackAll(moves);
  UpgradeWorkers(
      moves);  // a rollback by binaries: the same way, with what was kept in the place of a release
}

}  // namespace k3saga::core
