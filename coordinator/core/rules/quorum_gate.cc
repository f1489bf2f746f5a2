#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"

// Judges the members other than the one to be touched: each has to be started, healthy, voting, caught up,
// without alarm and with a leader, the membership as at the start, the other servers' API ready, and a quorum
// left without the one.
namespace k3saga::core {
namespace {

struct Others {
  bool api = false;  // a healthy one among them serves the API
  uint32_t healthy_voters = 0;
  Verdict trouble;
};

Others LookAtOthers(const State& state, const NodeState& touched) {
  Others others;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& other = state.nodes[i];
    if (other.index == touched.index) continue;
    Verdict trouble = TroubleOf(state, other);
    if (trouble.empty()) {
      others.api = others.api || other.plan->runs_apiserver();
      others.healthy_voters += other.plan->member_id() != 0 ? 1 : 0;
    }
    others.trouble.insert(others.trouble.end(), trouble.begin(), trouble.end());
  }
  return others;
}

// One or two voters have no quorum without one of them; the user agreed to that or the planner refused.
bool LossIsConsented(const State& state, const NodeState& touched) {
  if (!state.plan().consent_outage()) return false;
  return touched.plan->member_id() == 0 ? state.servers() == 1 : Voters(state) <= 2;
}

v1::Reason QuorumLost(const NodeState& touched, uint32_t healthy, uint32_t needed) {
  return MakeReason(
      v1::QUORUM_WOULD_BE_LOST, touched.name(),
      absl::StrCat("without it ", healthy, " healthy voting members would be left; quorum is ", needed));
}

}  // namespace

Verdict QuorumGate(const State& state, const Context& context) {
  if (!context.node.server) return {};
  // Where the datastore comes back from a backup there is no quorum to be kept: every server is stopped by
  // design, the membership ends with the old datastore and begins anew with one member. Peers are judged by
  // members-back.
  if (context.act != Act::kBegin && context.act != Act::kTouch) return {};
  // What is down already costs no vote: repair is never blocked by the node that failed.
  if (Down(state, context.node)) return {};
  Others others = LookAtOthers(state, context.node);

  const bool votes = context.node.plan->member_id() != 0;
  const uint32_t needed = Voters(state) / 2 + 1;
  const bool quorum_left = !votes || others.healthy_voters >= needed || LossIsConsented(state, context.node);
  const bool api_left = others.api || !context.node.plan->runs_apiserver() || state.servers() == 1;

  // On the way back another server's trouble does not stop us as long as quorum and API stay.
  if (context.direction == Direction::kBack && quorum_left && api_left) return {};
  if (!quorum_left) others.trouble.push_back(QuorumLost(context.node, others.healthy_voters, needed));
  return others.trouble;
}

}  // namespace k3saga::core
