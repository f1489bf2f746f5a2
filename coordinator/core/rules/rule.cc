#include "coordinator/core/rules/rule.h"

#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

const RuleTable& AllRules() {
  static const RuleTable kRules = {
      {"not-paused", NotPaused},
      {"not-aborting", NotAborting},
      {"claims", Claims},
      {"backup-first", BackupFirst},
      {"staged", Staged},
      {"remedies-applied", RemediesApplied},
      {"one-server", OneServer},
      {"servers-first", ServersFirst},
      {"workers-first", WorkersFirst},
      {"all-stopped", AllStopped},
      {"restored-first", RestoredFirst},
      {"failure-budget", FailureBudget},
      {"canary-first", CanaryFirst},
      {"unavailable-limit", UnavailableLimit},
      // What follows is judged by the last proof.
      {"proof-fresh", ProofFresh},
      {"quorum-gate", QuorumGate},
      {"stability-gate", StabilityGate},
      {"leader-moved", LeaderMoved},
      {"members-back", MembersBack},
      {"external-gate", ExternalGate},
  };
  return kRules;
}

Verdict Judge(const RuleTable& rules, const State& state, const Context& context) {
  for (const Rule& rule : rules) {
    Verdict verdict = rule.judge(state, context);
    if (!verdict.empty()) return verdict;
  }
  return {};
}

}  // namespace k3saga::core
