#include <absl/strings/str_cat.h>

#include <algorithm>
#include <unordered_map>

#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// A kubelet renews its lease every ten seconds; a node whose kubelet died still looks Ready for a while.
constexpr uint64_t kFreshHeartbeatMs = 60'000;

bool Done(const State& state, const NodeState& node) {
  return node.result == GoalResult(state) || node.result == v1::NodeFinished::UNCHANGED;
}

using NodeObjects = std::unordered_map<std::string, const v1::KubeNode*>;  // looked up, never iterated

NodeObjects NodeObjectsOf(const v1::GateProved& proof) {
  NodeObjects objects;
  for (const v1::KubeNode& node : proof.nodes()) objects.emplace(node.name(), &node);
  return objects;
}

// The first thing that is wrong with the node as the cluster sees it; code 0: nothing.
v1::Reason JudgeNode(const State& state, const NodeState& node, const NodeObjects& objects) {
  const auto found = objects.find(node.name());
  if (found == objects.end()) {
    return MakeReason(v1::NODE_UNKNOWN_TO_CLUSTER, node.name(), "the cluster shows no Node object for it");
  }
  const v1::KubeNode& object = *found->second;
  if (!object.ready()) return MakeReason(v1::NODE_NOT_READY, node.name(), "its Node object is not Ready");
  if (object.heartbeat_age_ms() > kFreshHeartbeatMs) {
    return MakeReason(v1::NODE_NOT_READY, node.name(),
                      absl::StrCat("its last heartbeat is ", object.heartbeat_age_ms() / 1000, " s old"));
  }
  if (object.cordoned_by() == state.rollout()) {
    return MakeReason(v1::NODE_UNHEALTHY, node.name(), "it is still cordoned by this rollout",
                      "kubectl uncordon " + node.name());
  }
  if (object.kubelet_version() != TargetOf(state, node)) {
    return MakeReason(v1::WRONG_VERSION_RUNNING, node.name(),
                      absl::StrCat("its kubelet is ", object.kubelet_version()));
  }
  return {};
}

bool CarriesOurCordon(const State& state, const NodeState& node, const NodeObjects& objects) {
  const auto found = objects.find(node.name());
  return found != objects.end() && found->second->cordoned_by() == state.rollout();
}

Verdict JudgeServers(const State& state) {
  Verdict verdict;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    Verdict trouble = TroubleOf(state, server);
    verdict.insert(verdict.end(), trouble.begin(), trouble.end());
    const v1::ServerProof* proof = ProofOf(state, server);
    if (!trouble.empty() || proof == nullptr) continue;
    if (proof->ready_for_ms() < SettleMs(state)) {
      verdict.push_back(MakeReason(v1::SERVER_NOT_SETTLED, server.name(),
                                   absl::StrCat("ready for ", proof->ready_for_ms() / 1000, " s")));
    } else if (proof->running_version() != TargetOf(state, server)) {
      verdict.push_back(MakeReason(v1::WRONG_VERSION_RUNNING, server.name(),
                                   absl::StrCat("it runs ", proof->running_version())));
    }
  }
  return verdict;
}

// Packaged Deployments and helm jobs that were well before the rollout, or are new.
Verdict JudgeComponents(const State& state) {
  const auto& notices = state.plan().notices();
  Verdict verdict;
  for (const v1::Reason& trouble : state.proof.components()) {
    const bool before = std::any_of(notices.begin(), notices.end(), [&](const v1::Reason& notice) {
      return notice.code() == v1::COMPONENT_NOT_READY && notice.subject() == trouble.subject();
    });
    if (!before) verdict.push_back(trouble);
  }
  return verdict;
}

// Nodes that the policy let fail: the rollout did what it could, and says that it is not all.
v1::Reason LeftBehind(const State& state) {
  if (state.velero_failure.code() != v1::REASON_UNSPECIFIED) return state.velero_failure;
  for (const NodeState& node : state.nodes) {
    if (Done(state, node)) continue;
    v1::Reason reason = node.reason;
    if (reason.code() == v1::REASON_UNSPECIFIED) reason.set_code(v1::NODE_UNHEALTHY);
    if (reason.subject().empty()) reason.set_subject(node.name());
    return reason;
  }
  return {};
}

// An uncordon whose answer was lost, or that never arrived.
bool UndoesCordons(Moves& moves, const NodeObjects& objects) {
  bool undoes = false;
  for (const NodeState& node : moves.state.nodes) {
    if (LeftBroken(node) || !CarriesOurCordon(moves.state, node, objects)) continue;
    if (Exhausted(node, Verb::kUncordon)) continue;
    undoes = true;
    if (!Rests(moves, node)) AskUncordon(moves, node);
  }
  return undoes;
}

}  // namespace

// Every node Ready at the target with a fresh heartbeat, the servers settled, nothing of ours left cordoned.
void Verify(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopReason(state); stop.code() != 0) {
    if (WindDown(moves, stop)) moves.Enter(v1::STEP_CLEAN_UP, NamingTheWayBack(state, stop));
    return;
  }
  if (state.gate_timer != 0 || state.paused) return;
  if (!state.proof_fresh() || !state.proof_with_nodes) return moves.Probe("", true);

  const NodeObjects objects = NodeObjectsOf(state.proof);
  if (UndoesCordons(moves, objects)) return;
  Verdict verdict = JudgeServers(state);
  for (const NodeState& node : state.nodes) {
    if (!Done(state, node) || !node.plan->runs_kubelet()) continue;
    v1::Reason reason = JudgeNode(state, node, objects);
    if (reason.code() != 0) verdict.push_back(std::move(reason));
  }
  for (v1::Reason& trouble : JudgeComponents(state)) verdict.push_back(std::move(trouble));
  if (!verdict.empty()) return moves.HoldAndLookAgain("", verdict);
  moves.Enter(v1::STEP_CLEAN_UP, LeftBehind(state));
}

}  // namespace k3saga::core
