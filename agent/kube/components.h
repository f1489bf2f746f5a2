#pragma once

#include <vector>

#include "agent/kube/json.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/reason.pb.h"

// Workloads that k3s ships, as objects of kube-system show them. Pure.
namespace k3saga::kube {

// Deployed by k3s itself (its addons carry an annotation) or by a helm job of its.
bool IsPackaged(const Json& object);

v1::PackagedComponent DeploymentOf(const Json& object);
v1::PackagedComponent DaemonSetOf(const Json& object);
// A helm job. Not ready while it is not done.
v1::PackagedComponent HelmJobOf(const Json& object);

// What is wrong with one: a workload that is not ready, a helm job that failed (not one that is under way).
// Code 0: nothing.
v1::Reason TroubleOf(const v1::PackagedComponent& component);

}  // namespace k3saga::kube
