#pragma once

#include <absl/status/status.h>

#include <cstdint>

#include "coordinator/core/state.h"

namespace k3saga::core {

// The rollout goes on under another process that knows of it only what RolloutAdopted says: every node stands
// where it was found, nothing is open, and the steps begin anew (what is done already is passed over).
// kFailedPrecondition: an epoch that does not grow, a node too many or missing; the state is unchanged then.
absl::Status FoldAdopted(const v1::RolloutAdopted& adopted, int64_t unix_ms, uint64_t now, State& state);

}  // namespace k3saga::core
