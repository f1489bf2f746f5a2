#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"

namespace k3saga::core {
namespace {

// Which one goes back now: one whose put-back we never heard of, the one that crashes until it is put back,
// the one that failed, then newest first.
const NodeState* NextBack(const State& state) {
  if (const NodeState* crashed = LastCrashed(state, Direction::kBack)) return crashed;
  const auto rank = [](const NodeState& server) {
    if (server.fate == Fate::kUnknown && server.going_back) return 3;
    if (server.fate != Fate::kMoved) return 2;
    return server.result == v1::NodeFinished::FAILED ? 1 : 0;
  };
  const NodeState* next = nullptr;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (server.fate == Fate::kTouching) return &server;
    if (!Pending(server, Direction::kBack)) continue;
    const bool later = next == nullptr || rank(server) > rank(*next) ||
                       (rank(server) == rank(*next) && server.touch_order > next->touch_order);
    if (later) next = &server;
  }
  return next;
}

v1::Reason StopsTheWayBack(const State& state) {
  if (state.aborting || (!state.held.empty() && state.held_ms >= GateTimeoutMs(state)))
    return StopReason(state);
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (ClaimGivenUp(server) || (server.going_back && server.failed)) {
      return MakeReason(v1::RESTORE_FAILED, server.name(),
                        "it could not be put back: " + Describe(server.reason),
                        "look at the node; its old files are kept");
    }
  }
  return {};
}

bool PutsBack(const NodeState& server) {
  return server.going_back && server.fate == Fate::kBack && server.result != v1::NodeFinished::PUT_BACK;
}

}  // namespace

// Compensation of the server step, before the point of no return: every moved server gets back what was kept.
void RestoreFromBackup(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopsTheWayBack(state); stop.code() != 0) {
    if (WindDown(moves, stop)) moves.Enter(v1::STEP_CLEAN_UP, stop);
    return;
  }
  bool awaits = false;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (!PutsBack(server)) continue;
    awaits = true;
    if (!Rests(moves, server)) FinishBack(moves, server);
  }
  const NodeState* next = NextBack(state);
  if (next == nullptr) {
    if (!awaits) moves.Enter(v1::STEP_CLEAN_UP);
    return;
  }
  if (Rests(moves, *next)) return;
  const Verdict verdict = TakeBack(moves, *next);
  if (!verdict.empty()) AnswerRefusal(moves, *next, verdict);
}

}  // namespace k3saga::core
