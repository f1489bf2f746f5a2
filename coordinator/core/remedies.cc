#include "coordinator/core/remedies.h"

#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/asks.h"
#include "coordinator/core/retry.h"

namespace k3saga::core {
namespace {

bool GivenUp(const RemedyState& remedy, Verb verb) { return remedy.verb == verb && remedy.given_up; }

std::string Objects(const State& state) {
  std::string objects;
  for (const v1::Remedy& remedy : state.plan().remedies()) {
    for (const std::string& object : remedy.objects()) {
      absl::StrAppend(&objects, objects.empty() ? "" : " ", object);
    }
  }
  return objects;
}

}  // namespace

bool RemediesStand(const State& state) { return state.remedy.standing != RemedyState::Standing::kNone; }

bool ApplyRemedies(Moves& moves) {
  const RemedyState& remedy = moves.state.remedy;
  if (remedy.open != 0) return true;
  if (remedy.must_wait || GivenUp(remedy, Verb::kApplyManifests)) return false;
  AskApplyRemedies(moves);
  return true;
}

bool RemoveRemedies(Moves& moves) {
  const RemedyState& remedy = moves.state.remedy;
  if (remedy.open != 0) return false;
  if (!RemediesStand(moves.state) || GivenUp(remedy, Verb::kRemoveManifests)) return true;
  if (remedy.must_wait) {
    moves.HoldAndLookAgain("", {remedy.failure}, RetryPauseMs(remedy.attempts));
  } else {
    AskRemoveRemedies(moves);
  }
  return false;
}

v1::Reason RemedyFailed(const State& state) {
  if (!GivenUp(state.remedy, Verb::kApplyManifests)) return {};
  return MakeReason(v1::REMEDY_FAILED, state.plan().remedies(0).trouble(),
                    absl::StrCat("what this step needs could not be applied (", Objects(state),
                                 "): ", Describe(state.remedy.failure)),
                    "run the upgrade again once the cluster's API takes it");
}

v1::Reason RemedyLeft(const State& state) {
  if (!RemediesStand(state)) return {};
  return MakeReason(
      v1::REMEDY_FAILED, state.plan().remedies(0).trouble(),
      absl::StrCat("what this step needed could not be removed: ", Describe(state.remedy.failure)),
      absl::StrCat("kubectl delete ", Objects(state)));
}

}  // namespace k3saga::core
