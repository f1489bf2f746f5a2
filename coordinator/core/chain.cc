#include "coordinator/core/chain.h"

#include "coordinator/core/asks.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

bool WantsCordon(const State& state, const NodeState& node) {
  if (!node.plan->runs_kubelet()) return false;
  if (node.cordon == Cordon::kOurs || node.cordon == Cordon::kTheirs) return false;
  return CordonPolicyOf(state, node) || node.plan->left_cordoned() || node.cordon == Cordon::kUnknown;
}

bool WantsDrain(const State& state, const NodeState& node) {
  return !node.drained && node.plan->runs_kubelet() && DrainPolicyOf(state, node).enabled();
}

// True when there is nothing (more) to undo.
bool Uncordoned(Moves& moves, const NodeState& node) {
  if (!node.ours_cordoned() || Exhausted(node, Verb::kUncordon)) return true;
  AskUncordon(moves, node);
  return false;
}

// A node at the target that an earlier rollout of ours left cordoned: its cordon becomes ours, then is
// undone.
bool TakesOverCordon(const NodeState& node) {
  return node.plan->left_cordoned() && !node.awaited && node.cordon != Cordon::kOurs;
}

bool ClaimFailed(const NodeState& node) { return !node.claimed && node.attempts[Verb::kClaim] != 0; }

}  // namespace

bool Rests(Moves& moves, const NodeState& node) {
  if (node.busy()) return true;
  if (!node.must_wait) return false;
  const bool claims = ClaimFailed(node) && !ClaimGivenUp(node) && moves.state.step != v1::STEP_CLEAN_UP;
  if (claims) return true;  // KeepClaims sets that pause
  moves.Pause(node, RetryPauseMs(node.attempts[node.verb]));
  return true;
}

Verdict TakeForward(Moves& moves, const NodeState& node) {
  const State& state = moves.state;
  if (!node.begun) {
    Verdict verdict = Judge(moves.rules, state, {node, Act::kBegin, Direction::kForward});
    if (!verdict.empty()) return verdict;
  }
  if (WantsCordon(state, node)) {
    AskCordon(moves, node);
  } else if (WantsDrain(state, node)) {
    AskDrain(moves, node);
  } else {
    Verdict verdict = Judge(moves.rules, state, {node, Act::kTouch, Direction::kForward});
    if (!verdict.empty()) return verdict;
    IsWayBack(state.plan()) ? AskPutBack(moves, node) : AskInstall(moves, node);
  }
  return {};
}

Verdict TakeBack(Moves& moves, const NodeState& node) {
  const bool begins = node.server && !node.going_back;
  for (const Act act : {Act::kBegin, Act::kTouch}) {
    if (act == Act::kBegin && !begins) continue;
    Verdict verdict = Judge(moves.rules, moves.state, {node, act, Direction::kBack});
    if (!verdict.empty()) return verdict;
  }
  AskPutBack(moves, node);
  return {};
}

void FinishMoved(Moves& moves, const NodeState& node) {
  const bool as_found = node.plan->at_target();
  if (as_found && TakesOverCordon(node)) return AskCordon(moves, node);
  const bool await = !node.awaited && (!as_found || node.plan->left_cordoned());
  if (await && node.plan->runs_kubelet()) return AskAwait(moves, node);
  if (!Uncordoned(moves, node)) return;
  moves.Finish(node, as_found ? v1::NodeFinished::UNCHANGED : GoalResult(moves.state));
}

void FinishBack(Moves& moves, const NodeState& node) {
  if (!node.awaited && node.plan->runs_kubelet()) return AskAwait(moves, node);
  if (!Uncordoned(moves, node)) return;
  moves.Finish(node, v1::NodeFinished::PUT_BACK, node.reason);
}

bool LeftBroken(const NodeState& node) {
  switch (node.fate) {
    case Fate::kAsFound:
    case Fate::kBack:
      return false;
    case Fate::kMoved:
      return node.failed;  // runs the target, but was never seen Ready
    default:
      return true;
  }
}

void FailWorker(Moves& moves, const NodeState& node) {
  if (LeftBroken(node)) {
    const bool put_back = moves.state.policies().workers().on_failure() == v1::ON_FAILURE_PUT_BACK &&
                          !node.going_back && !IsWayBack(moves.state.plan());
    if (put_back && TakeBack(moves, node).empty()) return;
    return moves.Finish(node, v1::NodeFinished::FAILED, node.reason);
  }
  if (!Uncordoned(moves, node)) return;
  const bool back = node.fate == Fate::kBack;
  moves.Finish(node, back ? v1::NodeFinished::PUT_BACK : v1::NodeFinished::FAILED, node.reason);
}

void BackOut(Moves& moves, const NodeState& node, const v1::Reason& reason) {
  if (Uncordoned(moves, node)) moves.Finish(node, v1::NodeFinished::SKIPPED, reason);
}

void KeepClaims(Moves& moves) {
  for (const NodeState& node : moves.state.nodes) {
    if (node.claimed || ClaimGivenUp(node) || node.open_claim != 0 || node.open_timer != 0) continue;
    if (node.finished() && !node.server && !moves.state.restores) continue;
    if (node.must_wait && ClaimFailed(node)) {
      moves.Pause(node, RetryPauseMs(node.attempts[Verb::kClaim]));
    } else {
      AskClaim(moves, node);
    }
  }
}

}  // namespace k3saga::core
