#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// One that was begun goes on; a server may still be awaiting its Node object.
void GoOn(Moves& moves, const NodeState& node) {
  if (node.failed) return FailWorker(moves, node);
  if (node.moved()) return FinishMoved(moves, node);
  if (node.going_back && node.fate == Fate::kBack) return FinishBack(moves, node);
  const Verdict verdict = node.going_back ? TakeBack(moves, node) : TakeForward(moves, node);
  if (!verdict.empty()) AskForMissing(moves, node, verdict);
}

// Whoever is away already costs nothing; then in the plan's order.
bool Before(const NodeState& a, const NodeState* b) {
  return b == nullptr || (!a.plan->was_available() && b->plan->was_available());
}

struct Survey {
  bool unfinished = false;
  bool in_flight = false;
  const NodeState* next = nullptr;  // the worker to be begun now
};

Survey GoOnWithAll(Moves& moves) {
  Survey survey;
  for (const NodeState& node : moves.state.nodes) {
    if (node.finished() || (node.server && IsWayBack(moves.state.plan()))) continue;  // servers go back later
    survey.unfinished = true;
    const bool waiting = !node.begun && !node.moved() && !node.failed;
    if (!waiting || node.busy()) survey.in_flight = true;
    if (Rests(moves, node)) continue;
    if (!waiting) {
      GoOn(moves, node);
    } else if (node.claimed && Before(node, survey.next)) {
      survey.next = &node;
    }
  }
  return survey;
}

// Whoever is in flight does not bring along what these wait for.
bool NothingElseWakesUs(const Verdict& verdict) {
  const v1::ReasonCode code = verdict.front().code();
  return code == v1::NOT_STAGED || code == v1::GATE_NOT_ASKED || code == v1::EXTERNAL_GATE_CLOSED;
}

// Nothing new is begun and nothing is left in flight: why?
void Stand(Moves& moves, const NodeState& next, const Verdict& verdict) {
  if (verdict.front().code() == v1::FAILURE_BUDGET_SPENT)
    return moves.Enter(v1::STEP_CLEAN_UP, verdict.front());
  AnswerRefusal(moves, next, verdict);
}

// On the way back the servers follow, but not below a worker that stayed where it was.
void EnterNext(Moves& moves) {
  const State& state = moves.state;
  if (!IsWayBack(state.plan())) return moves.Enter(v1::STEP_VERIFY);
  const auto ahead = std::find_if(state.nodes.begin() + state.servers(), state.nodes.end(),
                                  [&](const NodeState& worker) { return WantsPutBack(state, worker); });
  if (ahead == state.nodes.end()) return moves.Enter(StepAfter(state, state.step));
  moves.Enter(v1::STEP_CLEAN_UP,
              MakeReason(v1::WORKERS_FIRST, ahead->name(),
                         "this worker could not be put back, and must not be newer than the servers: " +
                             Describe(ahead->reason),
                         "repair it, then roll back again"));
}

}  // namespace

void UpgradeWorkers(Moves& moves) {
  KeepClaims(moves);
  if (const v1::Reason stop = StopReason(moves.state); stop.code() != 0) {
    if (!WindDown(moves, stop)) return;
    const bool server_failed =
        ServerFailed(moves.state) && !moves.state.aborting && !IsWayBack(moves.state.plan());
    if (!server_failed) return moves.Enter(v1::STEP_CLEAN_UP, NamingTheWayBack(moves.state, stop));
    return LeavePastReturn(moves, stop);
  }
  const Survey survey = GoOnWithAll(moves);
  if (!survey.unfinished && !moves.state.paused) return EnterNext(moves);
  // A new one is judged by a state that knows what the others have just come to.
  if (survey.next == nullptr || !moves.empty()) return;
  const Verdict verdict = TakeForward(moves, *survey.next);
  if (verdict.empty()) return;
  if (!survey.in_flight || NothingElseWakesUs(verdict)) Stand(moves, *survey.next, verdict);
}

}  // namespace k3saga::core
