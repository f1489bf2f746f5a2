#include "common/reason.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

// The user's gate (alerts, a command) is asked before each node that is taken forward. Last of all rules, so
// that its answer is as new as can be.
Verdict ExternalGate(const State& state, const Context& context) {
  if (context.act != Act::kBegin || context.direction == Direction::kBack) return {};
  const v1::ExternalGate& policy = state.policies().gate();
  if (policy.prometheus_url().empty() && policy.command_size() == 0) return {};
  // What the alerts are about may be why it goes back.
  if (IsWayBack(state.plan())) return {};
  // A server that crashes until it is moved is itself what alerts are about: waiting would hold the cure.
  if (context.node.server && LastCrashed(state, context.direction) == &context.node) return {};
  const GateState& gate = state.gate;
  if (gate.answered_at <= gate.stale_at) {
    return {MakeReason(v1::GATE_NOT_ASKED, context.node.name(), "the user's gate is being asked")};
  }
  if (gate.open) return {};
  return {gate.reason};
}

}  // namespace k3saga::core
