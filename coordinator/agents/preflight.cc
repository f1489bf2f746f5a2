#include "coordinator/agents/preflight.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"

namespace k3saga::agents {
namespace {

bool Answered(const v1::NodeFacts& facts) { return !facts.agent_version().empty(); }

}  // namespace

std::vector<v1::Reason> WhatIsInTheWay(const std::vector<v1::NodeFacts>& facts,
                                       const std::vector<Package>& packages, bool during_rollout) {
  std::vector<v1::Reason> found;
  for (const v1::NodeFacts& node : facts) {
    if (!Answered(node)) {
      // The problem that whoever asked put there says how it did not answer.
      found.insert(found.end(), node.problems().begin(), node.problems().end());
      continue;
    }
    if (PackageFor(packages, node.architecture()) == nullptr) {
      found.push_back(MakeReason(v1::RELEASE_UNAVAILABLE, node.name(),
                                 absl::StrCat("no agent for ", node.architecture(), " was given"),
                                 "name its package too, or leave the node out with --node"));
    }
    if (node.claim().active() && !during_rollout) {
      found.push_back(MakeReason(
          v1::CLUSTER_HELD, node.name(),
          absl::StrCat("rollout ", node.claim().rollout(), " of ", node.claim().holder(), " is not finished"),
          "let it end first; --during-rollout replaces agents between its operations"));
    }
  }
  return found;
}

std::vector<v1::NodeFacts> InOrder(std::vector<v1::NodeFacts> facts) {
  std::stable_partition(facts.begin(), facts.end(),
                        [](const v1::NodeFacts& node) { return node.k3s().role() != v1::ROLE_SERVER; });
  return facts;
}

}  // namespace k3saga::agents
