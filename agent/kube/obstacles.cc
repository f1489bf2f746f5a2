#include "agent/kube/obstacles.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <set>

#include "agent/kube/drain_rules.h"
#include "common/reason.h"

namespace k3saga::kube {
namespace {

std::string WhatThePolicyDoes(const v1::DrainPolicy& policy) {
  const std::string wait = absl::StrCat("the drain waits ", policy.timeout_seconds(), " s and then ");
  switch (policy.on_timeout()) {
    case v1::DrainPolicy::FORCE:
      return wait + "deletes the pods regardless of the budget";
    case v1::DrainPolicy::PROCEED:
      return wait + "goes on with the pods on the node";
    default:
      return wait + "fails this node; relax the budget or add replicas";
  }
}

v1::DrainObstacle Obstacle(const std::string& node, v1::Reason reason) {
  v1::DrainObstacle obstacle;
  obstacle.set_node(node);
  *obstacle.mutable_reason() = std::move(reason);
  return obstacle;
}

}  // namespace

std::string WhyNever(const Budget& budget) {
  if (budget.max_unavailable == "0" || budget.max_unavailable == "0%") {
    return absl::StrCat("allows no pod to be away (maxUnavailable ", budget.max_unavailable, ")");
  }
  if (budget.min_available == "100%") {
    return "wants every pod there (minAvailable 100%)";
  }
  if (budget.expected_pods > 0 && budget.desired_healthy >= budget.expected_pods) {
    return absl::StrCat("wants ", budget.desired_healthy, " healthy pods and there are ",
                        budget.expected_pods);
  }
  return "";
}

std::vector<v1::DrainObstacle> FindObstacles(const std::vector<Pod>& pods, const std::vector<Budget>& budgets,
                                             const v1::DrainPolicy& policy) {
  std::vector<v1::DrainObstacle> found;
  std::set<std::pair<std::string, const Budget*>> said;
  for (const Pod& pod : pods) {
    const PodFate fate = FateOf(pod, policy);
    if (pod.node.empty() || pod.terminating || fate == PodFate::kStays) {
      continue;
    }
    if (fate != PodFate::kEvict) {
      found.push_back(Obstacle(pod.node, InTheWay(pod, fate)));
      continue;
    }
    if (pod.Finished() || pod.phase == "Pending") {
      continue;  // no budget counts it
    }
    std::vector<const Budget*> covering;
    for (const Budget& budget : budgets) {
      if (budget.Covers(pod)) {
        covering.push_back(&budget);
      }
    }
    if (covering.size() > 1) {
      found.push_back(Obstacle(
          pod.node, MakeReason(v1::BUDGET_NEVER_ALLOWS, pod.FullName(),
                               absl::StrCat("is covered by two budgets (", covering[0]->name, " and ",
                                            covering[1]->name, "): the API refuses to evict it"),
                               "let one budget cover it; " + WhatThePolicyDoes(policy))));
      continue;
    }
    if (!covering.empty() && !WhyNever(*covering[0]).empty() && said.emplace(pod.node, covering[0]).second) {
      found.push_back(Obstacle(pod.node, MakeReason(v1::BUDGET_NEVER_ALLOWS, covering[0]->FullName(),
                                                    WhyNever(*covering[0]), WhatThePolicyDoes(policy))));
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& left, const auto& right) { return left.node() < right.node(); });
  return found;
}

}  // namespace k3saga::kube
