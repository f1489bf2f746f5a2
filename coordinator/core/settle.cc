#include "coordinator/core/settle.h"

#include "common/reason.h"
#include "coordinator/core/retry.h"
#include "coordinator/core/tally.h"

namespace k3saga::core {
namespace {

// What an install or put-back left the node like.
Fate FateAfter(const NodeState& node, const v1::Outcome& outcome, bool upgrade) {
  const Fate before = node.fate_before;
  const bool is_goal = node.verb == Verb::kInstall || !upgrade;
  if (outcome.code() == v1::Outcome::SUCCEEDED) return is_goal ? Fate::kMoved : Fate::kBack;
  if (outcome.code() == v1::Outcome::UNKNOWN) return Fate::kUnknown;
  if (outcome.node_state() == v1::Outcome::PUT_BACK) return Fate::kBack;
  if (outcome.node_state() != v1::Outcome::UNTOUCHED) return Fate::kBroken;
  // Nothing was kept, so nothing was ever changed, where we only feared that it might have been.
  const bool never_changed = before == Fate::kUnknown && outcome.reason().code() == v1::NOT_KEPT;
  return never_changed ? Fate::kAsFound : before;
}

void ForgetProcess(NodeState& node) {
  node.awaited = false;
  node.main_pid = 0;
  node.was_ready = false;
  node.crashed_at = 0;
}

void SettleTouch(const v1::Outcome& outcome, bool upgrade, NodeState& node) {
  node.fate = FateAfter(node, outcome, upgrade);
  ForgetProcess(node);
  if (outcome.reason().code() == v1::NOT_STAGED) node.staged = false;
}

void SettleCordon(const v1::Outcome& outcome, NodeState& node) {
  const bool succeeded = outcome.code() == v1::Outcome::SUCCEEDED;
  if (succeeded) {
    node.cordon = outcome.cordon().cordoned_before() ? Cordon::kTheirs : Cordon::kOurs;
  } else if (outcome.code() == v1::Outcome::REFUSED && node.attempts[Verb::kCordon] == 1) {
    node.cordon = Cordon::kNone;  // nothing was done, and nothing was asked before
  }
}

// The claim belongs to the agent's journal: whoever lost the one has lost the other.
bool ClaimLost(const v1::Outcome& outcome) {
  return outcome.code() != v1::Outcome::SUCCEEDED &&
         (outcome.reason().code() == v1::LOST_OPERATION || outcome.reason().code() == v1::CLAIM_MISSING);
}

void SettleClaim(Next next, const v1::Outcome& outcome, NodeState& node) {
  node.open_claim = 0;
  node.claimed = next == Next::kDone;
  if (next != Next::kGiveUp) return;
  node.failed = true;
  node.reason = MakeReason(v1::CLAIM_MISSING, node.name(),
                           "its agent did not acknowledge this rollout: " + Describe(outcome.reason()),
                           "bring the agent back and run the upgrade again");
}

// What succeeded, or was given up, in the words of each verb. `upgrade`: the plan's kind.
void SettleVerb(Verb verb, Next next, const v1::Outcome& outcome, bool upgrade, NodeState& node) {
  const bool done = next == Next::kDone;
  switch (verb) {
    case Verb::kClaim:
      return SettleClaim(next, outcome, node);
    case Verb::kReleaseClaim:
      node.open_claim = 0;
      if (done || next == Next::kGiveUp) node.claimed = node.holds = false;
      return;
    case Verb::kStage:
      node.staged = done;
      return;
    case Verb::kDropStaged:
      if (done || next == Next::kGiveUp) node.staged = false;
      return;
    case Verb::kCordon:
      return SettleCordon(outcome, node);
    case Verb::kDrain:
      node.drained = node.drained || done;
      return;
    case Verb::kUncordon:
      if (done) node.cordon = Cordon::kNone;
      return;
    case Verb::kInstall:
    case Verb::kPutBack:
      return SettleTouch(outcome, upgrade, node);
    case Verb::kStop:
      node.stopped = done;
      return ForgetProcess(node);
    case Verb::kRestoreDatastore:
    case Verb::kRejoin:
    case Verb::kRestart:
      // A server is restarted where its datastore was not replaced after all.
      node.restored = node.restored || (done && (verb != Verb::kRestart || !node.server));
      node.stopped = node.stopped && !done;
      return ForgetProcess(node);
    case Verb::kAwaitNode:
      node.awaited = done;
      return;
    default:
      return;
  }
}

// Verbs of the way out are tried a few times and then let be (Verify says what is left); a claim fails in its
// own words.
bool FailsNode(Verb verb) {
  return verb != Verb::kReleaseClaim && verb != Verb::kDropStaged && verb != Verb::kClaim &&
         verb != Verb::kUncordon && verb != Verb::kVeleroRestore;
}

void SettleVeleroRestore(Next next, const v1::Outcome& outcome, State& state) {
  if (next == Next::kRetry) return;
  state.velero_restored = true;
  if (next == Next::kGiveUp) state.velero_failure = outcome.reason();
}

void SettleBackup(const v1::OperationIssued& issued, Next next, const v1::Outcome& outcome, State& state) {
  state.open_backup = 0;
  NodeEdit node(state, state.roster->index.at(issued.node()));
  if (next == Next::kDone) {
    state.backups.push_back({issued.asked_of(), outcome.backup()});
    node->last_asked = -1;
  } else {
    node->reason = outcome.reason();
    state.backup_failure = outcome.reason();
  }
}

void SettleRemedy(Verb verb, Next next, const v1::Outcome& outcome, RemedyState& remedy) {
  using Standing = RemedyState::Standing;
  remedy.open = 0;
  remedy.must_wait = next == Next::kRetry;
  if (next == Next::kDone) {
    remedy.standing = verb == Verb::kApplyManifests ? Standing::kApplied : Standing::kNone;
    remedy.attempts = 0;
    remedy.failure.Clear();
    return;
  }
  remedy.failure = outcome.reason();
  remedy.given_up = next == Next::kGiveUp;
  // Nothing was done by the first one: there is nothing to remove.
  const bool never = outcome.code() == v1::Outcome::REFUSED && remedy.attempts == 1;
  if (verb == Verb::kApplyManifests && remedy.standing == Standing::kNone && !never) {
    remedy.standing = Standing::kUnknown;
  }
}

}  // namespace

void Settle(const v1::OperationIssued& issued, const v1::Outcome& outcome, uint64_t now, State& state) {
  const Verb verb = issued.spec().verb_case();
  const uint32_t index = state.roster->index.at(issued.node());
  const uint32_t attempts = state.nodes[index].attempts[verb];
  const Next next = Classify(verb, outcome, attempts);
  if (next == Next::kFenced) {
    state.fenced = true;
    state.fenced_reason = outcome.reason();
  }
  if (verb == Verb::kBackup) return SettleBackup(issued, next, outcome, state);
  if (verb == Verb::kApplyManifests || verb == Verb::kRemoveManifests) {
    const Next remedied = Classify(verb, outcome, state.remedy.attempts);
    return SettleRemedy(verb, remedied, outcome, state.remedy);
  }

  NodeEdit node(state, index);
  if (node->open_operation == issued.sequence()) node->open_operation = 0;
  SettleVerb(verb, next, outcome, state.plan().kind() == v1::Plan::UPGRADE, *node);
  if (verb == Verb::kVeleroBackup && next == Next::kDone) {
    // The agent chose another name where that one was taken.
    const std::string& taken = outcome.backup().id();
    state.velero_backup = taken.empty() ? issued.spec().velero_backup().name() : taken;
  }
  if (verb == Verb::kVeleroRestore) SettleVeleroRestore(next, outcome, state);
  if (ClaimLost(outcome)) {
    node->claimed = false;
    node->attempts[Verb::kClaim] = 0;
  }
  if (next == Next::kDone) {
    if (verb != Verb::kMoveLeader)
      node->attempts[verb] = 0;  // it may come back: counted until the node is touched
    node->last_asked = -1;
  } else {
    if (verb != Verb::kClaim || next != Next::kGiveUp) node->reason = outcome.reason();
    node->must_wait = next == Next::kRetry;
    node->failed = node->failed || (next == Next::kGiveUp && FailsNode(verb));
    const auto asked = state.roster->index.find(issued.asked_of());
    node->last_asked = asked == state.roster->index.end() ? -1 : static_cast<int32_t>(asked->second);
  }
  if (state.step == v1::STEP_VERIFY) state.last_change = now;
  // Whatever was waited for may have taken long: the user's gate is asked again.
  if (verb == Verb::kInstall || verb == Verb::kPutBack || verb == Verb::kClaim) state.gate.stale_at = now;
  if (node->server && verb != Verb::kStage && verb != Verb::kAwaitNode && verb != Verb::kUncordon) {
    state.last_change = now;
    if (verb == Verb::kInstall || verb == Verb::kPutBack) state.last_touch = now;
  }
}

}  // namespace k3saga::core
