#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/remedies.h"
#include "coordinator/core/restoring.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

bool Succeeded(const State& state) { return state.stop.code() == v1::REASON_UNSPECIFIED; }

bool HasSteppedInto(const State& state, v1::Step step) {
  return std::any_of(state.steps.begin(), state.steps.end(),
                     [step](const StepState& each) { return each.step == step; });
}

bool EveryServerIsBack(const State& state) {
  return std::all_of(state.nodes.begin(), state.nodes.begin() + state.servers(), [](const NodeState& server) {
    return !Pending(server, Direction::kBack) && !(server.going_back && server.failed);
  });
}

v1::RolloutEnded::Result ResultOf(const State& state) {
  if (Succeeded(state)) return v1::RolloutEnded::SUCCEEDED;
  if (state.ends.code() != v1::REASON_UNSPECIFIED) return v1::RolloutEnded::STOPPED;
  const v1::Step first = IsWayBack(state.plan()) ? v1::STEP_PUT_BACK_WORKERS : v1::STEP_STAGE_RELEASE;
  if (!HasSteppedInto(state, first) && state.touches == 0 && !state.aborting)
    return v1::RolloutEnded::REFUSED;
  if (IsWayBack(state.plan())) return v1::RolloutEnded::STOPPED;
  if (state.restores) {
    const bool through = state.steps.back().because.code() == v1::REASON_UNSPECIFIED;
    return through && RestoredServers(state) == state.servers() ? v1::RolloutEnded::COMPENSATED
                                                                : v1::RolloutEnded::STOPPED;
  }
  const bool restored = HasSteppedInto(state, v1::STEP_RESTORE_FROM_BACKUP) && EveryServerIsBack(state);
  return restored && !state.aborting ? v1::RolloutEnded::COMPENSATED : v1::RolloutEnded::STOPPED;
}

bool WantsUncordon(const NodeState& node) {
  return node.ours_cordoned() && !LeftBroken(node) && !Exhausted(node, Verb::kUncordon);
}

bool WantsDrop(const NodeState& node) {
  return node.staged && !node.moved() && !Exhausted(node, Verb::kDropStaged);
}

// Our cordons and, where nothing was installed from them, staged files. True when there is nothing left of
// them.
bool Undone(Moves& moves) {
  bool undone = true;
  for (const NodeState& node : moves.state.nodes) {
    const bool uncordon = WantsUncordon(node);
    if (!uncordon && !WantsDrop(node) && node.open_operation == 0) continue;
    undone = false;
    if (Rests(moves, node)) continue;
    if (uncordon) {
      AskUncordon(moves, node);
    } else {
      AskDropStaged(moves, node);
    }
  }
  return undone;
}

// Last of all: an agent takes nothing new under a claim that is released.
bool Released(Moves& moves) {
  bool released = true;
  for (const NodeState& node : moves.state.nodes) {
    if (!node.holds) continue;
    released = false;
    if (node.open_claim != 0 || node.open_timer != 0) continue;
    if (node.must_wait) {
      moves.Pause(node, RetryPauseMs(node.attempts[Verb::kReleaseClaim]));
    } else {
      AskReleaseClaim(moves, node, Succeeded(moves.state));
    }
  }
  return released;
}

}  // namespace

void CleanUp(Moves& moves) {
  const State& state = moves.state;
  if (!StartedAgain(moves) || !Undone(moves) || !RemoveRemedies(moves) || !Released(moves)) return;
  const v1::Reason& last =
      state.steps.back().because;  // a way back that failed says more than what it was for
  const v1::Reason& why = last.code() == v1::REASON_UNSPECIFIED ? state.stop : last;
  const v1::Reason left = RemedyLeft(state);
  if (left.code() != 0 && Succeeded(state)) return moves.End(v1::RolloutEnded::STOPPED, left);
  moves.End(ResultOf(state), why);
}

}  // namespace k3saga::core
