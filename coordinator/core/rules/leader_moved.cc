#include "common/reason.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// k3s does not hand over etcd's leadership when it stops: a leader stopped without a move costs seconds
// without API.
Verdict LeaderMoved(const State& state, const Context& context) {
  if (!context.node.server || context.act != Act::kTouch) return {};
  const uint64_t member = context.node.plan->member_id();
  if (member == 0 || Voters(state) < 2 || Down(state, context.node) || Leader(state) != member) return {};
  return {MakeReason(v1::NODE_LEADS_ETCD, context.node.name(), "it leads etcd; leadership is moved first")};
}

}  // namespace k3saga::core
