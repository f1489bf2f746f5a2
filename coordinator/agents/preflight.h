#pragma once

#include <string>
#include <vector>

#include "coordinator/agents/package.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/reason.pb.h"

namespace k3saga::agents {

// Everything that is in the way, before any agent is touched: nodes that do not answer, architectures without
// a package, a rollout that holds the cluster (unless that was agreed to). `facts`: of the nodes that are
// meant. Pure.
std::vector<v1::Reason> WhatIsInTheWay(const std::vector<v1::NodeFacts>& facts,
                                       const std::vector<Package>& packages, bool during_rollout);

// Who goes when: a worker first, for it is the least to lose, then the other workers, then servers.
std::vector<v1::NodeFacts> InOrder(std::vector<v1::NodeFacts> facts);

}  // namespace k3saga::agents
