#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "k3saga/v1/event.pb.h"

namespace k3saga::bench {

// How long a rollout took, against what its nodes needed by themselves. Milliseconds.
struct RolloutTiming {
  int64_t wall = 0;            // created to ended
  int64_t servers_down = 0;    // sum of the servers' own times from stop to healthy
  int64_t servers_settle = 0;  // one settle time a server
  int64_t workers_chains = 0;  // the workers' own chains, canaries first, in the slots that the policy gives
  int64_t longest_chain = 0;   // cordon to uncordon of the slowest worker, without the coordinator's pauses
  size_t worker_slots = 0;
  int64_t ideal() const { return servers_down + servers_settle + workers_chains; }
};

// From the rollout's own log.
RolloutTiming Measure(const std::vector<v1::Event>& events);

}  // namespace k3saga::bench
