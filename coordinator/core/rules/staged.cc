#include "common/reason.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

// Nothing is downloaded while a node is down.
Verdict Staged(const State& state, const Context& context) {
  if (context.direction == Direction::kBack || context.node.staged || IsWayBack(state.plan())) return {};
  return {MakeReason(v1::NOT_STAGED, context.node.name(), "the release is not yet verified on the node")};
}

}  // namespace k3saga::core
