#pragma once

#include "coordinator/core/rules/rule.h"

// Every rule, in the order of AllRules(). What each one asks stands in its own file.
namespace k3saga::core {

Verdict NotPaused(const State& state, const Context& context);
Verdict NotAborting(const State& state, const Context& context);
Verdict Claims(const State& state, const Context& context);
Verdict BackupFirst(const State& state, const Context& context);
Verdict Staged(const State& state, const Context& context);
Verdict RemediesApplied(const State& state, const Context& context);
Verdict OneServer(const State& state, const Context& context);
Verdict ServersFirst(const State& state, const Context& context);
Verdict WorkersFirst(const State& state, const Context& context);
Verdict AllStopped(const State& state, const Context& context);
Verdict RestoredFirst(const State& state, const Context& context);
Verdict FailureBudget(const State& state, const Context& context);
Verdict CanaryFirst(const State& state, const Context& context);
Verdict UnavailableLimit(const State& state, const Context& context);
Verdict ProofFresh(const State& state, const Context& context);
Verdict QuorumGate(const State& state, const Context& context);
Verdict StabilityGate(const State& state, const Context& context);
Verdict LeaderMoved(const State& state, const Context& context);
Verdict MembersBack(const State& state, const Context& context);
Verdict ExternalGate(const State& state, const Context& context);

}  // namespace k3saga::core
