#pragma once

#include <string>
#include <vector>

#include "agent/kube/objects.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/policy.pb.h"

namespace k3saga::kube {

// Why a budget can never allow an eviction, however healthy its pods are; "" when it can.
std::string WhyNever(const Budget& budget);

// Pure: what drains under `policy` would meet, by node, then as found. Budgets that can never allow an
// eviction (and pods that two budgets cover, which the API always refuses), pods in the way.
std::vector<v1::DrainObstacle> FindObstacles(const std::vector<Pod>& pods, const std::vector<Budget>& budgets,
                                             const v1::DrainPolicy& policy);

}  // namespace k3saga::kube
