#include <algorithm>

#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/remedies.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// What leads is disturbed once: whoever leads the control loops goes first, because they stay with it
// (agent/kube/leadership.h) and so will not be led by a server that is still to be stopped; etcd's leader
// goes last, because by then an upgraded member can take over.
int TurnOf(const State& state, const NodeState& server) {
  const v1::ServerProof* proof = ProofOf(state, server);
  if (proof != nullptr && proof->leads_control_loops()) return 0;
  const bool leads_etcd = server.plan->member_id() != 0 && server.plan->member_id() == Leader(state);
  return leads_etcd ? 2 : 1;
}

// Of two that could be next: by their turn, then as planned; on the way back the one that was moved last.
bool GoesBefore(const State& state, const NodeState& a, const NodeState& b) {
  if (IsWayBack(state.plan())) return a.plan->moved_as() > b.plan->moved_as();
  return TurnOf(state, a) < TurnOf(state, b);
}

// Which one is taken now: one that may be half-way, the one that was begun, the one that crashes until it is
// moved, one that is down anyway (costs no vote), then in order.
const NodeState* NextServer(const State& state) {
  const NodeState* begun = nullptr;
  const NodeState* next = nullptr;
  const NodeState* down = nullptr;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (server.moved()) continue;
    if (server.begun && server.fate == Fate::kUnknown) return &server;
    if (server.begun && begun == nullptr) begun = &server;
    if (server.begun) continue;
    const bool away = ProofOf(state, server) == nullptr ? !server.plan->was_available() : Down(state, server);
    const NodeState*& place = away ? down : next;
    if (place == nullptr || (!away && GoesBefore(state, server, *place))) place = &server;
  }
  if (begun != nullptr) return begun;
  if (const NodeState* crashed = LastCrashed(state, Direction::kForward)) return crashed;
  return down != nullptr ? down : next;
}

// Only where a rollout was adopted among its workers: servers that go back now would be older than they are.
bool WorkersWereBegun(const State& state) {
  return std::any_of(state.nodes.begin(), state.nodes.end(),
                     [](const NodeState& node) { return !node.server && node.begun; });
}

// A server step failed, or the user or a gate ended it: what runs is let finish, then the way back or out.
void LeaveServers(Moves& moves, const v1::Reason& because) {
  const State& state = moves.state;
  if (!ServerFailed(state) || state.aborting || IsWayBack(state.plan()) || WorkersWereBegun(state)) {
    if (WindDown(moves, because)) moves.Enter(v1::STEP_CLEAN_UP, NamingTheWayBack(state, because));
    return;
  }
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    const bool awaits = server.open_operation != 0 && server.verb == Verb::kAwaitNode;
    if (server.busy() && !awaits) return;
    if (!server.failed || server.finished()) continue;
    const bool back = server.fate == Fate::kBack;  // the agent did it at its own deadline
    return moves.Finish(server, back ? v1::NodeFinished::PUT_BACK : v1::NodeFinished::FAILED, server.reason);
  }
  const bool goes_back =
      state.policies().servers().on_failure() == v1::ON_FAILURE_PUT_BACK && !state.past_return;
  if (goes_back) return moves.Enter(v1::STEP_RESTORE_FROM_BACKUP, because);
  if (WindDown(moves, because)) LeavePastReturn(moves, because);
}

// From here on binaries alone do not lead back: every server was healthy at the new minor, or etcd says so
// itself.
void NotePointOfNoReturn(Moves& moves) {
  const State& state = moves.state;
  if (state.past_return || IsWayBack(state.plan())) return;
  if (state.plan().minor_step() && state.tally.servers_moved == state.servers()) {
    return moves.PassReturn("every server runs the new minor version");
  }
  for (const v1::ServerProof& proof : state.proof.servers()) {
    const std::string& now = proof.etcd_cluster_version();
    if (now.empty() || now == state.etcd_cluster_version) continue;
    return moves.PassReturn("etcd's cluster version went from " + state.etcd_cluster_version + " to " + now);
  }
}

// All servers run the target. What follows starts once they are ready and quorum holds; Node Ready may
// follow.
void EnterNext(Moves& moves) {
  const State& state = moves.state;
  if (state.paused) return;
  // Workers may be upgraded while a server's Node is awaited; Verify wants it to be through.
  const bool all_through = std::all_of(state.nodes.begin(), state.nodes.begin() + state.servers(),
                                       [](const NodeState& server) { return server.finished(); });
  if (IsWayBack(state.plan()) && !all_through) return;
  if (!state.proof_fresh()) return moves.Probe("", false);
  Verdict trouble;
  for (uint32_t i = 0; i < state.servers() && trouble.empty(); ++i)
    trouble = TroubleOf(state, state.nodes[i]);
  if (!trouble.empty()) return moves.HoldAndLookAgain("", trouble);
  // What fails here is tried again on the way out.
  if (state.remedy.open != 0) return;
  if (RemediesStand(state) && state.remedy.verb != Verb::kRemoveManifests) return AskRemoveRemedies(moves);
  moves.Enter(StepAfter(state, state.step));
}

}  // namespace

// A rollback by binaries goes the same way, with what was kept in the place of a release.
void PutBackServers(Moves& moves) { UpgradeServers(moves); }

void UpgradeServers(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  NotePointOfNoReturn(moves);
  if (const v1::Reason stop = StopReason(state); stop.code() != 0) return LeaveServers(moves, stop);
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (server.moved() && !server.finished() && !Rests(moves, server)) FinishMoved(moves, server);
  }
  const NodeState* next = NextServer(state);
  if (next == nullptr) return EnterNext(moves);
  if (Rests(moves, *next)) return;
  const Verdict verdict = TakeForward(moves, *next);
  if (!verdict.empty()) AnswerRefusal(moves, *next, verdict);
}

}  // namespace k3saga::core
