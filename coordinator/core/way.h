#pragma once

#include <string>

#include "coordinator/core/state.h"

// Where a rollout leads, by its plan's kind and by whether the datastore comes back: what each node is to
// run, and which step follows which. Everything else asks here instead of looking at the kind.
namespace k3saga::core {

// A rollback or a restore: kept files go back as its way forward.
bool IsWayBack(const v1::Plan& plan);

// What the node is to run when the rollout is through with it; while it is put back as compensation, what it
// ran before.
const std::string& TargetOf(const State& state, const NodeState& node);

// Its files have to be put back before the datastore of its cluster is (a worker: before the servers' are).
bool WantsPutBack(const State& state, const NodeState& node);

// The backup whose datastore comes back, and the server that has it; null where there is none.
struct RestoreSource {
  const v1::BackupResult* backup = nullptr;
  const NodeState* server = nullptr;
};
RestoreSource RestoreSourceOf(const State& state);

// Serves embedded etcd.
bool RunsEtcd(const NodeState& server);

// Servers that have the restored datastore.
uint32_t RestoredServers(const State& state);
// Members that the restored cluster has by now: its ids are new, so that only the number can be compared.
uint32_t RestoredMembers(const State& state);

// What comes after the step, all being well.
v1::Step StepAfter(const State& state, v1::Step step);

// The steps of a plan's way forward, in order; for whoever shows them.
std::vector<v1::Step> WayOf(const v1::Plan& plan);

// What a node that is through ends with.
v1::NodeFinished::Result GoalResult(const State& state);

}  // namespace k3saga::core
