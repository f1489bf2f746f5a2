#pragma once

#include "coordinator/core/moves.h"

// Each verb as an intent: what exactly is asked, of whom, and until when.
namespace k3saga::core {

void AskClaim(Moves& moves, const NodeState& node);
void AskReleaseClaim(Moves& moves, const NodeState& node, bool confirm);
void AskStage(Moves& moves, const NodeState& node);
void AskDropStaged(Moves& moves, const NodeState& node);
void AskBackup(Moves& moves, const NodeState& server);
void AskCordon(Moves& moves, const NodeState& node);
void AskDrain(Moves& moves, const NodeState& node);
void AskUncordon(Moves& moves, const NodeState& node);
void AskMoveLeader(Moves& moves, const NodeState& leader);
void AskInstall(Moves& moves, const NodeState& node);
void AskPutBack(Moves& moves, const NodeState& node);
// The objects of every remedy of the plan, through a healthy server.
void AskApplyRemedies(Moves& moves);
void AskRemoveRemedies(Moves& moves);
// Ready at the version it should run now.
void AskAwait(Moves& moves, const NodeState& node);
void AskStop(Moves& moves, const NodeState& server);
void AskRestoreDatastore(Moves& moves, const NodeState& server, const v1::BackupResult& backup);
void AskRejoin(Moves& moves, const NodeState& peer, const NodeState& restored);
void AskRestart(Moves& moves, const NodeState& node);
// Of the namespaces that the policy names; asked of any server.
void AskVeleroBackup(Moves& moves, const NodeState& about);
// Asked of any server; it is about the one that was restored.
void AskVeleroRestore(Moves& moves, const NodeState& restored, const std::string& backup);

// An install's own deadline, by policy.
uint32_t HealthTimeoutSeconds(const State& state, const NodeState& node);
const v1::DrainPolicy& DrainPolicyOf(const State& state, const NodeState& node);
bool CordonPolicyOf(const State& state, const NodeState& node);

}  // namespace k3saga::core
