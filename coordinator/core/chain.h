#pragma once

#include "coordinator/core/moves.h"

// One node's way through the rollout: cordon, drain, install, await, uncordon, finished; and the ways out of
// it. Every function here asks for at most one thing.
namespace k3saga::core {

// Something about the node is open, or a pause before its next attempt is due (and is set here).
bool Rests(Moves& moves, const NodeState& node);

// The next thing on the way to the install, if the rules allow it; otherwise why not. The node is not moved
// yet.
Verdict TakeForward(Moves& moves, const NodeState& node);

// Puts the node back, if the rules allow it; otherwise why not. A pause holds a server whose put-back was not
// yet begun.
Verdict TakeBack(Moves& moves, const NodeState& node);

// The node runs the target: await it, undo our cordon, finish it.
void FinishMoved(Moves& moves, const NodeState& node);

// The node was put back: the same.
void FinishBack(Moves& moves, const NodeState& node);

// A worker whose chain gave up: put back if the policy says so, uncordoned if it is healthy, finished with
// its reason.
void FailWorker(Moves& moves, const NodeState& node);

// A node that was begun but not touched: undo our cordon and let it be.
void BackOut(Moves& moves, const NodeState& node, const v1::Reason& reason);

// Failed in a way that leaves it unfit for workloads: our cordon stays on it.
bool LeftBroken(const NodeState& node);

// Asks every agent that has not done so to acknowledge our (epoch, holder).
void KeepClaims(Moves& moves);

}  // namespace k3saga::core
