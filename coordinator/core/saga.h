#pragma once

#include <absl/status/status.h>

#include <vector>

#include "coordinator/core/rules/rule.h"
#include "coordinator/core/state.h"

// The saga as two pure functions. The driver's turn:
//
//   inputs (outcomes, proofs, fired timers, commands) -> Apply each
//   while (!(next = Decide(state)).empty()) Apply each of next
//   commit inputs and everything decided, in that order, durably
//   dispatch what the state shows as open and was not dispatched yet
//
// Replay only applies; it never decides. Nothing here does I/O, reads a clock, or draws random numbers.
namespace k3saga::core {

// Folds one event into the state. kFailedPrecondition or kInvalidArgument for an event that cannot follow (an
// outcome of an operation that is not open, anything after the end, an unknown node) or that this program
// does not know; the state is unchanged then. An input that may rightly come late (the outcome of an
// operation that is settled already) has to be dropped by the driver: it asks state.open_operations first.
absl::Status Apply(const v1::Event& event, State& state);

// The next events, in the order they have to be committed; empty when only the world or the user can bring
// the rollout forward. Folding them and asking again ends after a bounded number of rounds. Events carry no
// time: the driver stamps unix_ms.
std::vector<v1::Event> Decide(const State& state);

// The same under another table of rules: the simulation removes one to see that it is missed.
std::vector<v1::Event> Decide(const State& state, const RuleTable& rules);

}  // namespace k3saga::core
