#pragma once

#include "coordinator/core/moves.h"

// What the steps of the datastore's way back have in common.
namespace k3saga::core {

// Why it cannot go on; code 0: it can. An abort is heard until the first file of a stopped server was to be
// replaced: from there on the only safe way is to the end.
v1::Reason StopsRestoring(const State& state);

// Servers that were stopped although their datastore was not replaced after all are started; true when none
// is left, or when it was tried often enough. Part of cleaning up.
bool StartedAgain(Moves& moves);

// What runs is let finish, every node that was begun gets its result, and the way out begins.
void LeaveRestoring(Moves& moves, const v1::Reason& because);

// The files of a stopped server, if the rules allow it; otherwise why not.
Verdict TakeSwap(Moves& moves, const NodeState& server);

}  // namespace k3saga::core
