#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/session.h"

namespace k3saga::cli {

// Looks at the releases of `hops` where this machine can read them, and tells `request`: the target's list of
// images (of the first hop; a plan does without where nobody has it), and what the nodes are to get through
// this machine but that is not to be had. Blocks for some seconds at most.
void LookAtTarget(const Session& session, const std::vector<v1::NodeFacts>& facts,
                  const std::vector<std::string>& hops, core::PlanRequest* request);

}  // namespace k3saga::cli
