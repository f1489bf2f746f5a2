#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/restoring.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

const NodeState* AnyPeer(const State& state, const NodeState& restored) {
  for (uint32_t i = 0; i < state.servers(); ++i) {
    if (i != restored.index) return &state.nodes[i];
  }
  return nullptr;
}

// Peers may join as far as the rules know: what is still to be proved is asked for in their own step.
bool PeersMayJoin(Moves& moves, const NodeState& peer) {
  const Verdict verdict = Judge(moves.rules, moves.state, {peer, Act::kRejoin, Direction::kBack});
  return verdict.empty() || verdict.front().code() == v1::PROOF_MISSING;
}

}  // namespace

// One server gets its old files, then the datastore as it was in the backup, and is verified. Its peers stay
// down.
void RestoreDatastore(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopsRestoring(state); stop.code() != 0) return LeaveRestoring(moves, stop);
  const auto [backup, source] = RestoreSourceOf(state);
  if (source == nullptr) return;
  const NodeState& server = *source;
  if (!server.restored && !Rests(moves, server)) {
    Verdict verdict;
    if (WantsPutBack(state, server)) {
      verdict = TakeSwap(moves, server);
    } else {
      verdict = Judge(moves.rules, state, {server, Act::kReset, Direction::kBack});
      if (verdict.empty()) AskRestoreDatastore(moves, server, *backup);
    }
    if (!verdict.empty()) moves.Hold(server.name(), verdict);
  }
  if (!moves.empty()) return;
  const NodeState* peer = AnyPeer(state, server);
  if (peer == nullptr ? server.restored : PeersMayJoin(moves, *peer))
    moves.Enter(StepAfter(state, v1::STEP_RESTORE_DATASTORE));
}

}  // namespace k3saga::core
