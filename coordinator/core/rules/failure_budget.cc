#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// With on_failure: stop the first failed worker ends it; otherwise as many may fail as the budget has.
Verdict FailureBudget(const State& state, const Context& context) {
  if (context.node.server || context.act != Act::kBegin || context.direction == Direction::kBack) return {};
  const v1::WorkerPolicy& policy = state.policies().workers();
  const uint32_t budget =
      policy.on_failure() == v1::ON_FAILURE_STOP ? 0 : Resolve(policy.failure_budget(), state.tally.workers);
  if (state.tally.workers_failed <= budget) return {};
  std::string failed;
  for (uint32_t i = state.servers(); i < state.nodes.size() && failed.empty(); ++i) {
    if (state.nodes[i].result == v1::NodeFinished::FAILED) failed = "; " + Describe(state.nodes[i].reason);
  }
  return {
      MakeReason(v1::FAILURE_BUDGET_SPENT, "",
                 absl::StrCat("failed workers: ", state.tally.workers_failed, ", allowed: ", budget, failed),
                 "see to the failed nodes, then run the upgrade again")};
}

}  // namespace k3saga::core
