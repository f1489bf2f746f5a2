#include "coordinator/core/stop.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/remedies.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

constexpr uint32_t kDefaultGateTimeoutSeconds = 600;
constexpr uint32_t kSoonestMs = 100;
constexpr uint32_t kGateAgainMs = 5'000;  // alerts do not change by the second

const NodeState* FailedServer(const State& state) {
  for (uint32_t i = 0; i < state.servers(); ++i) {
    if (state.nodes[i].failed) return &state.nodes[i];
  }
  return nullptr;
}

const NodeState* UnclaimedServer(const State& state) {
  if (state.tally.servers_claimed == state.servers()) return nullptr;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    if (ClaimGivenUp(state.nodes[i])) return &state.nodes[i];
  }
  return nullptr;
}

v1::Reason GateTimedOut(const State& state) {
  v1::Reason reason = state.held.front();
  reason.set_detail(absl::StrCat(reason.detail(), "; waited ", state.held_ms / 1000, " s"));
  return reason;
}

// Brings one node that was begun, and rests, nearer to its end.
void WindDownNode(Moves& moves, const NodeState& node, const v1::Reason& because) {
  if (node.failed) {
    if (!node.server) return FailWorker(moves, node);
    const bool back = node.fate == Fate::kBack;
    return moves.Finish(node, back ? v1::NodeFinished::PUT_BACK : v1::NodeFinished::FAILED, node.reason);
  }
  if (node.moved()) return FinishMoved(moves, node);
  if (node.going_back && node.fate == Fate::kBack) return FinishBack(moves, node);
  if (node.fate == Fate::kAsFound) return BackOut(moves, node, because);
  // It may have been touched and we never heard: asking again is how we learn, if we may.
  const Verdict verdict = node.going_back ? TakeBack(moves, node) : TakeForward(moves, node);
  if (verdict.empty() || AskForMissing(moves, node, verdict)) return;
  const bool said = node.reason.code() != v1::REASON_UNSPECIFIED;
  moves.Finish(node, v1::NodeFinished::FAILED, said ? node.reason : because);
}

}  // namespace

v1::Reason StopReason(const State& state) {
  if (state.aborting) {
    return MakeReason(v1::ABORTED_BY_USER, "", absl::StrCat("aborted by ", state.commanded_by));
  }
  if (const NodeState* server = UnclaimedServer(state)) {
    return MakeReason(v1::CLAIM_MISSING, server->name(), "its agent does not acknowledge this rollout",
                      "bring the agent back and run the upgrade again");
  }
  if (v1::Reason failed = RemedyFailed(state); failed.code() != 0) return failed;
  if (const NodeState* server = FailedServer(state)) {
    v1::Reason reason = server->reason;
    if (reason.subject().empty()) reason.set_subject(server->name());
    return reason;
  }
  if (!state.held.empty() && state.held_ms >= GateTimeoutMs(state)) return GateTimedOut(state);
  return {};
}

bool ServerFailed(const State& state) {
  return FailedServer(state) != nullptr && UnclaimedServer(state) == nullptr;
}

v1::Reason NamingTheWayBack(const State& state, const v1::Reason& because) {
  if (!state.past_return || state.aborting || state.restores || IsWayBack(state.plan())) return because;
  v1::Reason reason = because;
  reason.set_remedy(absl::StrCat(reason.remedy(), reason.remedy().empty() ? "" : "; or ",
                                 "go back to the old release with its datastore, which loses what was "
                                 "written since: k3saga rollback ",
                                 state.rollout()));
  return reason;
}

void LeavePastReturn(Moves& moves, const v1::Reason& because) {
  const State& state = moves.state;
  const bool agreed = state.past_return && state.plan().consent_data_loss() &&
                      state.policies().servers().on_failure() == v1::ON_FAILURE_PUT_BACK;
  const RestoreSource source = RestoreSourceOf(state);
  const bool possible = source.backup != nullptr && source.server != nullptr &&
                        state.plan().datastore() != v1::DATASTORE_EXTERNAL;
  if (agreed && possible) return moves.Enter(v1::STEP_PUT_BACK_WORKERS, because);
  moves.Enter(v1::STEP_CLEAN_UP, NamingTheWayBack(state, because));
}

bool WindDown(Moves& moves, const v1::Reason& because) {
  bool none = true;
  for (const NodeState& node : moves.state.nodes) {
    const bool open = node.open_operation != 0;
    if (!open && !node.in_flight()) continue;
    none = false;
    if (!Rests(moves, node)) WindDownNode(moves, node, because);
  }
  return none;
}

void LeaveEarly(Moves& moves, const v1::Reason& because) {
  if (WindDown(moves, because)) moves.Enter(v1::STEP_CLEAN_UP, because);
}

uint64_t GateTimeoutMs(const State& state) {
  const uint32_t seconds = state.policies().servers().gate_timeout_seconds();
  return uint64_t{1000} * (seconds == 0 ? kDefaultGateTimeoutSeconds : seconds);
}

bool AskForMissing(Moves& moves, const NodeState& node, const Verdict& verdict) {
  switch (verdict.front().code()) {
    case v1::PROOF_MISSING:
      moves.Probe(node.name(), false);
      return true;
    case v1::NODE_LEADS_ETCD:
      if (Exhausted(node, Verb::kMoveLeader)) return false;  // it keeps coming back
      AskMoveLeader(moves, node);
      return true;
    case v1::GATE_NOT_ASKED:
      moves.AskGate(node.name());
      return true;
    case v1::REMEDY_MISSING:
      return ApplyRemedies(moves);
    case v1::NOT_STAGED:
      AskStage(moves, node);
      return true;
    default:
      return false;
  }
}

void AnswerRefusal(Moves& moves, const NodeState& node, const Verdict& verdict) {
  if (AskForMissing(moves, node, verdict)) return;
  switch (verdict.front().code()) {
    // Whatever these wait for wakes us by itself.
    case v1::PAUSED_BY_USER:
    case v1::ABORTED_BY_USER:
    case v1::CLAIM_MISSING:
    case v1::ANOTHER_SERVER_OPEN:
    case v1::WORKERS_FIRST:
    case v1::SERVER_STILL_RUNS:
    case v1::RESTORED_FIRST:
      return moves.Hold(node.name(), verdict);
    case v1::EXTERNAL_GATE_CLOSED:
      return moves.HoldAndLookAgain(node.name(), verdict, kGateAgainMs);
    case v1::SERVER_NOT_SETTLED:
    case v1::SERVER_RESTARTED:
      return moves.HoldAndLookAgain(
          node.name(), verdict, std::clamp(SettleRemainingMs(moves.state), kSoonestMs, Moves::kLookAgainMs));
    default:
      return moves.HoldAndLookAgain(node.name(), verdict);
  }
}

}  // namespace k3saga::core
