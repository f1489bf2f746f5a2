#include "common/reason.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

// Peers join the server that was reset, once it was verified: before that there is nothing to join.
Verdict RestoredFirst(const State& state, const Context& context) {
  if (context.act != Act::kRejoin) return {};
  const NodeState* restored = RestoreSourceOf(state).server;
  if (restored != nullptr && restored->restored) return {};
  return {MakeReason(v1::RESTORED_FIRST, restored == nullptr ? "" : restored->name(),
                     "its datastore is not back yet")};
}

}  // namespace k3saga::core
