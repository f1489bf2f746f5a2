#pragma once

#include <vector>

#include "common/protocol.h"
#include "coordinator/core/planner/survey.h"
#include "coordinator/core/state.h"

// Whether each agent knows what it will be asked for.
namespace k3saga::core {

// The verbs that this node's agent may be asked for while the plan runs, its compensation included. A
// server's: also what any server may be asked about others (to drain a worker, to apply a remedy).
std::vector<Verb> VerbsFor(const v1::Plan& plan, const v1::PlannedNode& node);

// Refuses the plan for every agent whose protocol is older than one of the verbs that it needs. Agents older
// than kOldestProtocol are CheckProtocols' to name.
void CheckVerbs(const Survey& survey, const v1::Plan& plan, Findings& findings,
                const std::vector<VerbSince>& verbs = VerbsByProtocol());

}  // namespace k3saga::core
