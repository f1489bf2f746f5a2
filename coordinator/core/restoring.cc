#include "coordinator/core/restoring.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// Failed by the way back itself, not by what it is for.
bool FailedGoingBack(const State& state, const NodeState& node) {
  if (!node.failed) return false;
  switch (node.verb) {
    case Verb::kStop:
    case Verb::kRestoreDatastore:
      return true;
    case Verb::kPutBack:
      // A peer that fails is left out; the others come back without it.
      return node.server ? &node == RestoreSourceOf(state).server : WantsPutBack(state, node);
    default:
      return false;
  }
}

v1::Reason Failed(const State& state, const NodeState& node) {
  const v1::BackupResult* backup = RestoreSourceOf(state).backup;
  return MakeReason(v1::RESTORE_FAILED, node.name(), Describe(node.reason),
                    absl::StrCat("repair the node, then run: k3saga restore --backup ",
                                 backup == nullptr ? "ID" : backup->id()));
}

v1::Reason Unclaimed(const NodeState& node) {
  return MakeReason(v1::CLAIM_MISSING, node.name(), "its agent does not acknowledge this rollout",
                    "bring the agent back and run the same command again");
}

// It was told to stop, and nobody told it to start since.
bool MayBeDown(const NodeState& server) { return server.stopped || server.verb == Verb::kStop; }

void FinishAs(Moves& moves, const NodeState& node, v1::NodeFinished::Result result,
              const v1::Reason& reason) {
  if (node.begun && !node.finished()) moves.Finish(node, result, reason);
}

}  // namespace

v1::Reason StopsRestoring(const State& state) {
  if (state.aborting && !state.resetting) {
    return MakeReason(v1::ABORTED_BY_USER, "", absl::StrCat("aborted by ", state.commanded_by));
  }
  for (const NodeState& node : state.nodes) {
    const bool needed = node.server || (!state.resetting && WantsPutBack(state, node));
    if (needed && ClaimGivenUp(node)) return Unclaimed(node);
    if (FailedGoingBack(state, node)) return Failed(state, node);
  }
  if (state.held.empty() || state.held_ms < GateTimeoutMs(state)) return {};
  v1::Reason reason = state.held.front();
  reason.set_detail(absl::StrCat(reason.detail(), "; waited ", state.held_ms / 1000, " s"));
  return reason;
}

bool StartedAgain(Moves& moves) {
  const State& state = moves.state;
  if (!state.restores || state.resetting) return true;
  bool started = true;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    const bool down = MayBeDown(server) && !Exhausted(server, Verb::kRestart);
    if (server.open_operation == 0 && !down) continue;
    started = false;
    if (!Rests(moves, server)) AskRestart(moves, server);
  }
  return started;
}

void LeaveRestoring(Moves& moves, const v1::Reason& because) {
  const auto& nodes = moves.state.nodes;
  const bool runs =
      std::any_of(nodes.begin(), nodes.end(), [](const NodeState& node) { return node.open_operation != 0; });
  if (runs) return;
  for (const NodeState& node : nodes) {
    const bool through = node.server ? node.restored : !node.failed && !WantsPutBack(moves.state, node);
    FinishAs(moves, node, through ? GoalResult(moves.state) : v1::NodeFinished::FAILED,
             node.reason.code() == v1::REASON_UNSPECIFIED ? because : node.reason);
  }
  moves.Enter(v1::STEP_CLEAN_UP, because);
}

Verdict TakeSwap(Moves& moves, const NodeState& server) {
  Verdict verdict = Judge(moves.rules, moves.state, {server, Act::kSwap, Direction::kBack});
  if (verdict.empty()) AskPutBack(moves, server);
  return verdict;
}

}  // namespace k3saga::core
