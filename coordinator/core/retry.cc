#include "coordinator/core/retry.h"

#include <algorithm>

namespace k3saga::core {
namespace {

constexpr uint32_t kAttempts = 5;
// Somebody else is at work there, or the agent is away: worth more patience than a failure.
constexpr uint32_t kPatientAttempts = 20;

bool PassesBeforeTheTouch(v1::ReasonCode code) {
  switch (code) {
    // The agent's own last check saw something newer than our proof: look again.
    case v1::NODE_LEADS_ETCD:
    case v1::QUORUM_WOULD_BE_LOST:
    case v1::MEMBER_UNSTARTED:
    case v1::MEMBER_UNHEALTHY:
    case v1::MEMBER_LEARNER:
    case v1::MEMBER_ALARM:
    case v1::MEMBER_BEHIND:
    case v1::MEMBERSHIP_CHANGED:
    case v1::NO_LEADER:
    // The agent lost what it had: asked for again first.
    case v1::NOT_STAGED:
    case v1::CLAIM_MISSING:
    case v1::CANCELLED:
      return true;
    default:
      return false;
  }
}

bool FailureMayPass(Verb verb, v1::ReasonCode code) {
  switch (verb) {
    case Verb::kClaim:
    case Verb::kReleaseClaim:
    case Verb::kStage:
    case Verb::kDropStaged:
    case Verb::kBackup:
    case Verb::kCordon:
    case Verb::kUncordon:
    case Verb::kMoveLeader:
    case Verb::kPutBack:
    case Verb::kApplyManifests:
    case Verb::kRemoveManifests:
    case Verb::kStop:
    case Verb::kRestoreDatastore:
    case Verb::kRejoin:
    case Verb::kRestart:
      return code != v1::NOT_KEPT && code != v1::UNKNOWN_ACTION && code != v1::BACKUP_UNUSABLE;
    case Verb::kVeleroRestore:
      // What Velero says of a restore is its end; another one would do half of it twice.
      return code != v1::VELERO_FAILED && code != v1::UNKNOWN_ACTION;
    case Verb::kDrain:
    case Verb::kAwaitNode:
      // The server that was asked is in trouble, not the node it was asked about.
      return code == v1::API_NOT_READY || code == v1::NO_HEALTHY_SERVER || code == v1::LOCAL_FAILURE;
    default:
      return false;
  }
}

bool RefusalMayPass(Verb verb, v1::ReasonCode code) {
  if (code == v1::UNKNOWN_ACTION) return false;
  if (verb == Verb::kInstall || verb == Verb::kPutBack) return PassesBeforeTheTouch(code);
  return FailureMayPass(verb, code);
}

}  // namespace

Next Classify(Verb verb, const v1::Outcome& outcome, uint32_t attempts) {
  const v1::ReasonCode code = outcome.reason().code();
  const auto retry = [&](uint32_t limit) { return attempts < limit ? Next::kRetry : Next::kGiveUp; };
  switch (outcome.code()) {
    case v1::Outcome::SUCCEEDED:
      return Next::kDone;
    case v1::Outcome::UNKNOWN:
      return retry(kAttempts);
    case v1::Outcome::REFUSED:
      // A release that was heard but never answered: the claim is gone, which is what we wanted.
      if (verb == Verb::kReleaseClaim && code == v1::STALE_EPOCH) return Next::kDone;
      if (code == v1::STALE_EPOCH) return Next::kFenced;
      if (code == v1::BUSY) return retry(kPatientAttempts);
      if (code == v1::STALE_OPERATION) return retry(kAttempts);
      return RefusalMayPass(verb, code) ? retry(kAttempts) : Next::kGiveUp;
    default:
      return FailureMayPass(verb, code) ? retry(kAttempts) : Next::kGiveUp;
  }
}

bool Exhausted(const NodeState& node, Verb verb) { return node.attempts[verb] >= kAttempts; }

bool ClaimGivenUp(const NodeState& node) {
  return !node.claimed && node.open_claim == 0 && Exhausted(node, Verb::kClaim);
}

uint32_t RetryPauseMs(uint32_t attempts) {
  constexpr uint32_t kLongestMs = 30'000;
  const uint32_t doublings = std::min(attempts == 0 ? 0u : attempts - 1, 5u);
  return std::min(1000u << doublings, kLongestMs);
}

}  // namespace k3saga::core
