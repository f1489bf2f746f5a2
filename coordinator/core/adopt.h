#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "k3saga/v1/event.pb.h"
#include "k3saga/v1/facts.pb.h"

// Going on with a rollout whose coordinator and journal are gone, from what the agents keep. Pure.
namespace k3saga::core {

// What the agents keep of a rollout that has not ended; with refusals, there is none to go on with.
struct KeptRollout {
  v1::RolloutCreated created;
  v1::Claim claim;  // the newest one: who holds the cluster, since when
  std::vector<v1::Reason> refusals;
};
// `facts` were asked for with for_adoption.
KeptRollout FindKept(const std::vector<v1::NodeFacts>& facts);

// An operation as its agent's journal has it.
struct KeptOperation {
  v1::OperationId id;
  v1::OperationSpec spec;
  v1::Outcome outcome;  // code UNSPECIFIED while it runs
};

// What one agent says of its node. One that did not answer has facts with a name and nothing else.
struct AgentReport {
  v1::NodeFacts facts;
  std::vector<KeptOperation> operations;  // of any rollout, in any order
};

struct Adoption {
  v1::RolloutAdopted adopted;
  std::vector<v1::Reason> refusals;  // everything that is in the way; empty: `adopted` is complete
};

// A datastore that is on its way back cannot be gone on with: where it stands was in the journal only. Such a
// rollout is adopted to be ended, so that the cluster is free for `k3saga restore`.
//
// Every server's agent has to have acknowledged (epoch, holder) or a later one of the same holder before it
// was asked for its report: from then on nobody else starts anything there.
Adoption Adopt(const v1::RolloutCreated& created, const std::vector<AgentReport>& reports,
               const std::string& holder, uint64_t epoch);

}  // namespace k3saga::core
