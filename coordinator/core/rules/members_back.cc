#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// One learner at a time: before the next peer joins, every server that has the restored datastore is ready,
// votes and lists all the others.
Verdict MembersBack(const State& state, const Context& context) {
  if (context.act != Act::kRejoin) return {};
  Verdict trouble;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (!server.restored) continue;
    Verdict of_server = TroubleOf(state, server);
    trouble.insert(trouble.end(), of_server.begin(), of_server.end());
  }
  return trouble;
}

}  // namespace k3saga::core
