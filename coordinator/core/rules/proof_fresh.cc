#include "common/reason.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// Gates are judged by what was asked after the last change, never by what was true before it.
Verdict ProofFresh(const State& state, const Context& context) {
  if (!context.node.server || state.proof_fresh()) return {};
  const Act act = context.act;
  if (act == Act::kStop || act == Act::kSwap || act == Act::kReset) return {};  // nothing of theirs is asked
  return {MakeReason(v1::PROOF_MISSING, context.node.name(), "the servers' health is being asked for")};
}

}  // namespace k3saga::core
