#pragma once

#include "coordinator/core/state.h"

namespace k3saga::core {

// Whose agent is asked for what any server can do (cordon, drain, uncordon, node status, backup): one that
// the last proof shows ready, that we are not touching, that did not just fail for `about`, and that is not
// `about` itself; what cannot be had of these is given up, last first. Spread over equals by the next
// sequence number.
const NodeState& PickServer(const State& state, const NodeState& about);

}  // namespace k3saga::core
