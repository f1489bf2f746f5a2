#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/version.h"
#include "coordinator/core/planner.h"

// More than one minor version: hop by hop, each its own rollout. Pure.
namespace k3saga::core {

// The oldest version that runs anywhere; nullopt when none could be read.
std::optional<Version> OldestRunning(const std::vector<v1::NodeFacts>& facts);

// Minor versions strictly between the two, in order; empty when one rollout is enough.
std::vector<int> MinorsBetween(const Version& from, const Version& to);

// What the table of steps with known trouble refuses on hops after the first, as far as today's facts tell:
// the nodes as they are, running the hop before. `hops` in order, the first one included.
std::vector<v1::Reason> TroubleOnTheWay(PlanRequest request, std::vector<v1::NodeFacts> facts,
                                        const std::vector<std::string>& hops);

// What each hop would do, as far as today's facts tell: a plan a hop, in order, the nodes running the hop
// before. A hop may be "v1.32.x", where nobody decided its patch yet. For showing, not for running.
std::vector<v1::Plan> PlansOfHops(PlanRequest request, std::vector<v1::NodeFacts> facts,
                                  const std::vector<std::string>& hops);

// The request for the hop after `done`: its nodes, policies, sources and consent, to its next version. The
// caller adds what is not part of a plan (the table of known trouble).
PlanRequest NextHop(const v1::Plan& done);

}  // namespace k3saga::core
