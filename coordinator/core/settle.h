#pragma once

#include "coordinator/core/state.h"

namespace k3saga::core {

// Folds what an operation came to into the node it was about (and, for a backup, into the rollout). The
// operation was open and is closed by the caller; `now` is the number of the event.
void Settle(const v1::OperationIssued& issued, const v1::Outcome& outcome, uint64_t now, State& state);

}  // namespace k3saga::core
