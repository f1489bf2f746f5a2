#pragma once

#include <absl/status/status.h>

#include "lab/base/layout.h"

namespace k3saga::lab {

// The lab's one long-lived parent: plays systemd for every node, and is the subreaper of everything that runs
// in the lab, so that nothing outlives it. Speaks JSON lines on DIR/daemon.sock:
//   {"node": "s1", "program": "systemctl", "arguments": [...]}  -> {"code", "out", "err"}
//   {"lab": "pids"}                                              -> {"nodes": {name: [{pid, unit, main}]}}
//   {"lab": "signal", "node": .., "unit": .., "signal": N}       -> kills a unit's main process
//   {"lab": "down"}                                              -> everything killed, then the daemon ends
// Returns when the lab is down. One thread.
absl::Status RunDaemon(const Lab& lab);

}  // namespace k3saga::lab
