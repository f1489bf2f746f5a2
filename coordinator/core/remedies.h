#pragma once

#include "coordinator/core/moves.h"

// Objects that stand in the cluster while versions are mixed (Plan.remedies): applied before the first server
// is touched, removed after the last one and on every way out.
namespace k3saga::core {

// Applied, or perhaps applied.
bool RemediesStand(const State& state);

// Asks for them, or waits for the answer. False when the last attempt failed and a pause comes first, or when
// attempts are spent.
bool ApplyRemedies(Moves& moves);

// True when none is left, or when removing them was tried often enough (RemedyLeft says what is left then).
bool RemoveRemedies(Moves& moves);

// Why they cannot be applied: attempts are spent. Code 0: they can, or are, or there are none.
v1::Reason RemedyFailed(const State& state);

// What removing them left behind, and how to remove it by hand. Code 0: nothing.
v1::Reason RemedyLeft(const State& state);

}  // namespace k3saga::core
