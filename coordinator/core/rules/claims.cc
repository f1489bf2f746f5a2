#include "common/reason.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// Two coordinators must never act at once: no node is touched until every server's agent, and its own, has
// durably acknowledged our (epoch, holder).
Verdict Claims(const State& state, const Context& context) {
  Verdict verdict;
  const auto missing = [&](const NodeState& node) {
    verdict.push_back(MakeReason(v1::CLAIM_MISSING, node.name(),
                                 "its agent has not yet acknowledged this rollout's epoch",
                                 "is k3saga-agent running there and reachable?"));
  };
  if (state.tally.servers_claimed < state.servers()) {
    for (uint32_t i = 0; i < state.servers(); ++i) {
      if (!state.nodes[i].claimed) missing(state.nodes[i]);
    }
  }
  if (!context.node.server && !context.node.claimed) missing(context.node);
  return verdict;
}

}  // namespace k3saga::core
