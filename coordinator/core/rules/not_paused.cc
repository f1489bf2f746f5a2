#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// A paused rollout takes no new node; one that was taken is finished.
Verdict NotPaused(const State& state, const Context& context) {
  if (!state.paused || !Begins(state, context)) return {};
  return {MakeReason(v1::PAUSED_BY_USER, "", absl::StrCat("paused by ", state.commanded_by),
                     absl::StrCat("go on with: k3saga resume ", state.rollout()))};
}

}  // namespace k3saga::core
