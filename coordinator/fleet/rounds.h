#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/fleet/fleet.h"

namespace k3saga::fleet {

// What one agent said, or why it did not.
struct FactsAnswer {
  std::string node;
  absl::StatusOr<v1::NodeFacts> facts;
};

struct FactsRound {
  std::vector<std::string> nodes;
  v1::GetFactsRequest request;
  std::chrono::milliseconds timeout{10'000};  // each node's own, from when it is asked
  size_t at_a_time = 256;                     // a cold mutual-TLS call costs milliseconds of our processor
};

// Asks all of them (at least one) in parallel; `done` hears the answers in the order of `nodes`. Ends in
// bounded time: the timeout for every `at_a_time` nodes. Destroy the handle to give up.
[[nodiscard]] CallHandle GatherFacts(Fleet& fleet, FactsRound round,
                                     std::function<void(std::vector<FactsAnswer>)> done);

struct ProbeRound {
  std::vector<std::string> servers;
  v1::Authority authority;
  bool with_nodes = false;  // one ready server is asked for the Node objects besides
  std::chrono::milliseconds timeout{5'000};
};

// One proof per server (at least one), in the order of `servers`; an agent that did not answer in time counts
// as reachable=false, with the reason as its note. When the server that was asked for the Node objects has
// none to tell, ready ones are asked one after the other.
[[nodiscard]] CallHandle ProbeServers(Fleet& fleet, ProbeRound round,
                                      std::function<void(std::vector<v1::ServerProof>)> done);

}  // namespace k3saga::fleet
