#pragma once

#include "coordinator/core/moves.h"

namespace k3saga::core {

// Why the rollout has to leave its way now: the user aborts, a server failed, a gate stayed closed for too
// long. Code 0: it has not.
v1::Reason StopReason(const State& state);

// A server's own install or its Node failed, and every server still obeys us: what compensation is for.
bool ServerFailed(const State& state);

// A server failed and binaries alone do not lead back: on to the datastore's restore where that was agreed to
// and is possible, otherwise out.
void LeavePastReturn(Moves& moves, const v1::Reason& because);

// Past the point of no return the way out names the command that would lead back all the same.
v1::Reason NamingTheWayBack(const State& state, const v1::Reason& because);

// Ends a step before the first touch. Only a rollout that was adopted has nodes in flight there.
void LeaveEarly(Moves& moves, const v1::Reason& because);

// Lets every node that was begun come to its end: what was touched goes on, what was only begun is undone.
// True when none is left.
bool WindDown(Moves& moves, const v1::Reason& because);

// How long a closed gate is waited for.
uint64_t GateTimeoutMs(const State& state);

// Asks for what the refusal says is missing, where that is ours to ask for: a proof, another leader, the
// files.
bool AskForMissing(Moves& moves, const NodeState& node, const Verdict& verdict);

// The same; otherwise holds, says why, and looks again. For at most one node a round.
void AnswerRefusal(Moves& moves, const NodeState& node, const Verdict& verdict);

}  // namespace k3saga::core
