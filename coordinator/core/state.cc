#include "coordinator/core/state.h"

namespace k3saga::core {
namespace {

Phase PhaseOfVerb(Verb verb) {
  switch (verb) {
    case Verb::kStage:
      return Phase::kStaging;
    case Verb::kBackup:
      return Phase::kBackingUp;
    case Verb::kCordon:
      return Phase::kCordoning;
    case Verb::kDrain:
      return Phase::kDraining;
    case Verb::kUncordon:
      return Phase::kUncordoning;
    case Verb::kMoveLeader:
      return Phase::kMovingLeader;
    case Verb::kInstall:
      return Phase::kInstalling;
    case Verb::kPutBack:
      return Phase::kPuttingBack;
    case Verb::kAwaitNode:
      return Phase::kAwaiting;
    case Verb::kStop:
      return Phase::kStopping;
    case Verb::kRestoreDatastore:
      return Phase::kRestoring;
    case Verb::kRejoin:
      return Phase::kRejoining;
    case Verb::kRestart:
      return Phase::kRestarting;
    default:
      return Phase::kPending;
  }
}

Phase PhaseOfResult(v1::NodeFinished::Result result) {
  switch (result) {
    case v1::NodeFinished::UPGRADED:
      return Phase::kUpgraded;
    case v1::NodeFinished::UNCHANGED:
      return Phase::kUnchanged;
    case v1::NodeFinished::PUT_BACK:
      return Phase::kPutBack;
    case v1::NodeFinished::SKIPPED:
      return Phase::kSkipped;
    case v1::NodeFinished::RETURNED:
      return Phase::kReturned;
    default:
      return Phase::kFailed;
  }
}

}  // namespace

NodeState AsPlanned(const v1::PlannedNode& planned, uint32_t index) {
  NodeState node;
  node.plan = &planned;
  node.index = index;
  node.server = planned.role() == v1::ROLE_SERVER;
  node.cordon = planned.was_cordoned() ? Cordon::kTheirs : Cordon::kNone;
  return node;
}

Phase PhaseOf(const NodeState& node) {
  if (node.open_operation != 0) {
    const Phase phase = PhaseOfVerb(node.verb);
    if (phase != Phase::kPending) return phase;
  }
  if (node.stopped && !node.failed) return Phase::kStopped;
  if (node.finished()) return PhaseOfResult(node.result);
  if (node.open_timer != 0) return Phase::kWaitingToRetry;
  if (node.open_claim != 0 && !node.begun) return Phase::kClaiming;
  if (node.begun) return PhaseOfVerb(node.verb);  // between two operations
  return node.staged ? Phase::kStaged : Phase::kPending;
}

const NodeState* State::Find(std::string_view name) const {
  if (roster == nullptr) return nullptr;
  const auto found = roster->index.find(std::string(name));
  return found == roster->index.end() ? nullptr : &nodes[found->second];
}

bool MayBeAsked(const State& state, const v1::OperationIssued& issued) {
  const Verb verb = issued.spec().verb_case();
  if (verb == Verb::kClaim || verb == Verb::kReleaseClaim) return true;
  return state.step == v1::STEP_CLEAN_UP || state.tally.servers_claimed == state.servers();
}

const v1::ServerProof* ProofOf(const State& state, const NodeState& server) {
  // Proofs come in any order, usually in that of the plan.
  const int at = static_cast<int>(server.index);
  if (at < state.proof.servers_size() && state.proof.servers(at).node() == server.name()) {
    return &state.proof.servers(at);
  }
  for (const v1::ServerProof& proof : state.proof.servers()) {
    if (proof.node() == server.name()) return &proof;
  }
  return nullptr;
}

}  // namespace k3saga::core
