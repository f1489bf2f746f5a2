#pragma once

#include <vector>

#include "coordinator/core/rules/rule.h"

// What the last proof shows about the servers; shared by the gates.
namespace k3saga::core {

// Voting members as at the rollout's start.
uint32_t Voters(const State& state);

// What is wrong with one server as a member and as an API, seen from the touch of another one; empty:
// nothing.
Verdict TroubleOf(const State& state, const NodeState& server);

// Answers, and says itself that neither etcd nor its API works: touching it costs nothing.
bool Down(const State& state, const NodeState& server);

// What is about to be done takes something new: a node or, before the datastore is restored, all servers at
// once.
bool Begins(const State& state, const Context& context);

// The etcd member that the servers agree to be the leader; 0: unknown.
uint64_t Leader(const State& state);

// All servers have to be ready for this long with the same main process.
uint64_t SettleMs(const State& state);

// Still to be moved (or, on the way back, to be put back).
bool Pending(const NodeState& server, Direction direction);

// On some minor steps servers of the old release crash while versions are mixed (FACTS, "Ready is not
// stable"). When that happened since the last touch, and only to servers still pending, the one that crashed
// last goes next: waiting would watch it crash for ever. Otherwise null.
const NodeState* LastCrashed(const State& state, Direction direction);

// What is still missing until every server but `except` is settled, at most; 0: settled, or it is not a
// matter of time.
uint32_t SettleRemainingMs(const State& state);

}  // namespace k3saga::core
