#include "common/reason.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// A server that still ran would keep the old datastore alive beside the restored one, with its own quorum.
Verdict AllStopped(const State& state, const Context& context) {
  const bool replaces = context.act == Act::kReset || context.act == Act::kSwap;
  if (!replaces) return {};
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    // Once the datastore is back, those that have it run; the one whose files are swapped is stopped all the
    // same.
    if (server.stopped || (state.data_restored && server.index != context.node.index)) continue;
    return {MakeReason(v1::SERVER_STILL_RUNS, server.name(), "its k3s is not stopped yet")};
  }
  return {};
}

}  // namespace k3saga::core
