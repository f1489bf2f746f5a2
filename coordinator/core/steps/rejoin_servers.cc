#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/restoring.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// The one that was begun, then in the plan's order; whoever failed is left out, so that the others come back.
const NodeState* NextPeer(const State& state) {
  const NodeState* next = nullptr;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& peer = state.nodes[i];
    if (peer.restored || &peer == RestoreSourceOf(state).server) continue;
    if (peer.open_operation != 0 || peer.open_timer != 0) return &peer;
    if (next == nullptr && !peer.failed) next = &peer;
  }
  return next;
}

}  // namespace

// The others, one at a time, each once every one before it serves and votes.
void RejoinServers(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopsRestoring(state); stop.code() != 0) return LeaveRestoring(moves, stop);
  const NodeState* peer = NextPeer(state);
  if (peer == nullptr) return moves.Enter(StepAfter(state, v1::STEP_REJOIN_SERVERS));
  if (Rests(moves, *peer)) return;
  Verdict verdict;
  if (WantsPutBack(state, *peer)) {
    verdict = TakeSwap(moves, *peer);
  } else {
    verdict = Judge(moves.rules, state, {*peer, Act::kRejoin, Direction::kBack});
    if (verdict.empty()) AskRejoin(moves, *peer, *RestoreSourceOf(state).server);
  }
  if (!verdict.empty()) AnswerRefusal(moves, *peer, verdict);
}

}  // namespace k3saga::core
