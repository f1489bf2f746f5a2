#include "common/reason.h"
#include "coordinator/core/remedies.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// From the first server to the last, while versions are mixed.
Verdict RemediesApplied(const State& state, const Context& context) {
  if (!context.node.server || context.direction == Direction::kBack) return {};
  if (state.plan().remedies_size() == 0 || state.remedy.standing == RemedyState::Standing::kApplied)
    return {};
  return {MakeReason(v1::REMEDY_MISSING, state.plan().remedies(0).trouble(),
                     "the objects that this step needs are not in the cluster yet")};
}

}  // namespace k3saga::core
